package envoytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// AccessEntry is what Envoy logged about one request.
type AccessEntry struct {
	Listener  string `json:"listener"`
	Case      string `json:"case"`
	RequestID string `json:"request_id"`
	Protocol  string `json:"protocol"`
	Method    string `json:"method"`
	Host      string `json:"host"`
	Path      string `json:"path"` // without the query
	Status    int    `json:"status"`
	Flags     string `json:"flags"`   // response flags, such as UAEX; "-" or empty for none
	Details   string `json:"details"` // such as ext_authz_denied
	// Metadata is what the authorization server said in its dynamic metadata.
	Metadata map[string]any `json:"latchkey"`
}

// AccessLog waits for the log entries of a request by its x-case header, and takes
// them: each is returned once. It returns the context's error when none comes in time.
func (e *Envoy) AccessLog(ctx context.Context, id string) ([]AccessEntry, error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		entries, err := e.log.take(id)
		if err != nil {
			return nil, fmt.Errorf("envoytest: access log: %w", err)
		}
		if len(entries) > 0 {
			return entries, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("envoytest: no access log entry for case %q: %w", id, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// accessLog reads a growing file of JSON lines, each line once.
type accessLog struct {
	path string

	mu      sync.Mutex
	offset  int64
	entries map[string][]AccessEntry // read and not yet taken, by case
}

func (l *accessLog) take(id string) ([]AccessEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.entries[id]; !ok {
		if err := l.read(); err != nil {
			return nil, err
		}
	}
	found := l.entries[id]
	delete(l.entries, id)
	return found, nil
}

func (l *accessLog) read() error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(l.offset, io.SeekStart); err != nil {
		return err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if l.entries == nil {
		l.entries = map[string][]AccessEntry{}
	}
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return nil // the end of the line is still to come
		}
		var entry AccessEntry
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("line %.200q: %w", line, err)
		}
		l.entries[entry.Case] = append(l.entries[entry.Case], entry)
		l.offset += int64(len(line)) + 1
		data = rest
	}
}
