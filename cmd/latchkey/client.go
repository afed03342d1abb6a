package main

import (
	"cmp"
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
	link  clientLink
	calls clientCalls

	keys      adminv1connect.KeyServiceClient
	directory adminv1connect.DirectoryServiceClient
	policies  adminv1connect.PolicyServiceClient
	server    adminv1connect.ServerServiceClient
	store     adminv1connect.StoreServiceClient
	log       adminv1connect.LogServiceClient
}

// addClient makes a command one that asks a running process: it gets the flags
// --admin, those of a link over TCP and -o, and its work is done by f with a client that is ready.
func addClient(cmd *cobra.Command, f func(*cobra.Command, *client, []string) error) *client {
	return addClientIn(cmd, addOutput(cmd, "table", "json"), f)
}

// addClientIn is addClient for a command whose result has other forms.
func addClientIn(cmd *cobra.Command, o *output, f func(*cobra.Command, *client, []string) error) *client {
	c := &client{output: o}
	admin := os.Getenv("LATCHKEY_ADMIN")
	if admin == "" {
		admin = defaultAdmin
	}
	c.admin = admin
	cmd.Flags().Var(&adminValue{c}, "admin", "admin address of the process to ask, unix:PATH or host:port; $LATCHKEY_ADMIN changes the default")
	c.link.add(cmd)
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
		if err := c.link.load(cmd.Context()); err != nil {
			return err
		}
		c.admin = cmp.Or(c.named(cmd), c.admin)
		if err := c.connect(cmd.Context(), cmd.ErrOrStderr()); err != nil {
			return err
		}
		return c.explain(f(cmd, c, args))
	}
	return c
}

// connect gets ready to ask the process. Nothing is dialled yet.
func (c *client) connect(ctx context.Context, stderr io.Writer) error {
	address, err := serve.ParseAddress(c.admin)
	if err != nil {
		return usagef("--admin: %w", err)
	}
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return address.Dial(ctx) },
		TLSHandshakeTimeout: linkTime,
	}
	// The connection is known by its socket or by its certificate, and not by the name.
	base := "http://latchkey"
	if !address.IsUnix() {
		if transport.TLSClientConfig, err = c.link.clientTLS(ctx, address, stderr); err != nil {
			return err
		}
		base = "https://latchkey"
	}
	c.dial(base, &http.Client{Transport: transport})
	return nil
}

func (c *client) dial(base string, by connect.HTTPClient) {
	limit, calls := connect.WithReadMaxBytes(maxAnswer), connect.WithInterceptors(c.calls.interceptor())
	c.keys = adminv1connect.NewKeyServiceClient(by, base, limit, calls)
	c.directory = adminv1connect.NewDirectoryServiceClient(by, base, limit, calls)
	c.policies = adminv1connect.NewPolicyServiceClient(by, base, limit, calls)
	c.server = adminv1connect.NewServerServiceClient(by, base, limit, calls)
	c.log = adminv1connect.NewLogServiceClient(by, base, limit, calls)
	// A copy of a store is sent over a socket as it is: nothing is gained by packing it.
	c.store = adminv1connect.NewStoreServiceClient(by, base, limit, connect.WithAcceptCompression("gzip", nil, nil))
}

// explain puts the error of a call into words.
func (c *client) explain(err error) error {
	var call *connect.Error
	if !errors.As(err, &call) {
		return err
	}
	if err := c.explainLink(call); err != nil {
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
		return fmt.Errorf("interrupted: %s", c.calls.outcome())
	case errors.Is(call, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s in %s: %s: see whether its process is stopped, or starved of processor or disk",
			c.admin, c.calls.waited(), c.calls.outcome())
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
