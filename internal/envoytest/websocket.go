package envoytest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// WebSocket makes a handshake and, if the answer is 101, sends one text message of at
// most 125 bytes and reads what the upstream echoes: Response.Body. Anything but 101 is
// returned as the response it is.
func WebSocket(ctx context.Context, addr, host, path string, fields []Field, payload string) (Response, error) {
	if len(payload) > 125 {
		return Response{}, errors.New("envoytest: a WebSocket payload of over 125 bytes needs a longer frame: send less")
	}
	conn, done, err := dial(ctx, addr)
	if err != nil {
		return Response{}, err
	}
	defer done()
	nonce := make([]byte, 16)
	rand.Read(nonce)
	all := append([]Field{
		{"host", host},
		{"upgrade", "websocket"},
		{"connection", "Upgrade"},
		{"sec-websocket-version", "13"},
		{"sec-websocket-key", base64.StdEncoding.EncodeToString(nonce)},
	}, fields...)
	_, _ = conn.Write(Request("GET", path, all, nil)) // a failure shows in the read
	in := bufio.NewReader(conn)
	resp, err := readResponse(in, "GET")
	if err != nil {
		resp.Ending = Closed
		return resp, unlessEnded(ctx, err)
	}
	if resp.Status != 101 {
		return resp, nil
	}

	// One final text frame, masked as clients must; the echo comes back as it went out.
	frame := append([]byte{0x81, 0x80 | byte(len(payload))}, nonce[:4]...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^nonce[i%4])
	}
	_, _ = conn.Write(frame)
	back := make([]byte, len(frame))
	if _, err := io.ReadFull(in, back); err != nil {
		resp.Ending = Closed
		return resp, unlessEnded(ctx, err)
	}
	if string(back[:6]) != string(frame[:6]) {
		return resp, fmt.Errorf("envoytest: the WebSocket echo begins %x, sent %x", back[:6], frame[:6])
	}
	for i, b := range back[6:] {
		resp.Body = append(resp.Body, b^nonce[i%4])
	}
	return resp, nil
}
