package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/latchkey/latchkey/internal/serve"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
)

const (
	defaultData  = "./latchkey-data"
	defaultAdmin = "unix:./latchkey-data/admin.sock"

	// callTime bounds one call: writes wait for each other and for the disk.
	callTime = time.Minute
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 64 << 20
)

// client is the flags of a command that asks a running process, and what it
// asks it with.
type client struct {
	*output
	admin string

	keys      adminv1connect.KeyServiceClient
	directory adminv1connect.DirectoryServiceClient
	policies  adminv1connect.PolicyServiceClient
	server    adminv1connect.ServerServiceClient
	store     adminv1connect.StoreServiceClient
}

// addClient makes a command one that asks a running process: it gets the flags
// --admin and -o, and its work is done by f with a client that is ready.
func addClient(cmd *cobra.Command, f func(*cobra.Command, *client, []string) error) *client {
	c := &client{output: addOutput(cmd, "table", "json")}
	admin := os.Getenv("LATCHKEY_ADMIN")
	if admin == "" {
		admin = defaultAdmin
	}
	cmd.Flags().StringVar(&c.admin, "admin", admin, "admin address of the process to ask; $LATCHKEY_ADMIN changes the default")
	arguments := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := noneEmpty(cmd); err != nil || arguments == nil {
			return err
		}
		return arguments(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.check(); err != nil {
			return err
		}
		if err := c.connect(); err != nil {
			return err
		}
		return c.explain(f(cmd, c, args))
	}
	return c
}

func (c *client) connect() error {
	address, err := adminAddress(c.admin)
	if err != nil {
		return usagef("--admin: %w", err)
	}
	// The connection is known by its socket and not by the name.
	c.dial("http://latchkey", &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return address.Dial(ctx) },
	}})
	return nil
}

func (c *client) dial(base string, by connect.HTTPClient) {
	limit := connect.WithReadMaxBytes(maxAnswer)
	c.keys = adminv1connect.NewKeyServiceClient(by, base, limit)
	c.directory = adminv1connect.NewDirectoryServiceClient(by, base, limit)
	c.policies = adminv1connect.NewPolicyServiceClient(by, base, limit)
	c.server = adminv1connect.NewServerServiceClient(by, base, limit)
	// A copy of a store is sent over a socket as it is: nothing is gained by packing it.
	c.store = adminv1connect.NewStoreServiceClient(by, base, limit, connect.WithAcceptCompression("gzip", nil, nil))
}

// adminAddress reads the address of an admin API.
func adminAddress(text string) (serve.Address, error) {
	address, err := serve.ParseAddress(text)
	if err == nil && !address.IsUnix() {
		// Anybody who reaches a TCP port could manage keys.
		err = fmt.Errorf("%q is no Unix socket, and the admin API is served on nothing else: write unix:PATH", text)
	}
	return address, err
}

// explain puts the error of a call into words.
func (c *client) explain(err error) error {
	var call *connect.Error
	if !errors.As(err, &call) {
		return err
	}
	switch {
	case serve.NobodyListens(call):
		return fmt.Errorf("nobody answers at %s: is `latchkey serve` running? Start it, or name its address with --admin or LATCHKEY_ADMIN", c.admin)
	case errors.Is(call, fs.ErrPermission):
		return fmt.Errorf("the admin socket %s is not yours: run this as the user that runs `latchkey serve`, or as root", c.admin)
	case errors.Is(call, io.EOF) || errors.Is(call, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s closed the connection: run this as the user that runs `latchkey serve`, or see whether it is stopping", c.admin)
	case errors.Is(call, context.Canceled):
		return errors.New("interrupted: what was asked for may have been done")
	case errors.Is(call, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s in %s: what was asked for may have been done", c.admin, callTime)
	}
	return errors.New(call.Message())
}

// ask makes a call and returns what it answered.
func ask[Q, A any](ctx context.Context, call func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), question *Q) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := call(ctx, connect.NewRequest(question))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}
