package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/policytable"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	"github.com/latchkey/latchkey/storage"
)

// tryActions runs the management rows of a table against a real admin API, over
// a store in a folder that is removed afterwards.
func tryActions(ctx context.Context, t *policytable.Table, actions []policytable.Action) (_ []failure, err error) {
	if len(actions) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp("", "latchkey-policy-test-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	compiler := &admin.Compiler{}
	db, err := storage.Open(filepath.Join(dir, "data"), storageOptions(compiler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	server := admin.New(admin.Options{Ledger: db, Log: slog.New(slog.DiscardHandler)})
	if _, err := server.ApplyFile(ctx, "table", filepath.Join(t.Dir, policytable.PolicyFile), t.PolicySrc, false); err != nil {
		return nil, err
	}
	c := &client{output: &output{}}
	c.dial("http://latchkey", &http.Client{Transport: inProcess{server.Handler()}})
	if err := c.replaceDirectory(ctx, t.Directory); err != nil {
		return nil, err
	}
	var failures []failure
	for _, a := range actions {
		f, err := c.tryAction(ctx, t, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Place, err)
		}
		if f != nil {
			failures = append(failures, *f)
		}
	}
	return failures, nil
}

// replaceDirectory makes a directory all there is.
func (c *client) replaceDirectory(ctx context.Context, d *directoryv1.Directory) error {
	_, err := ask(ctx, c.directory.ApplyDirectory, &adminv1.ApplyDirectoryRequest{Directory: d, Prune: true, Force: true})
	return err
}

// tryAction runs one action on a fresh key, as a dry run, and returns how it
// failed, or nil.
func (c *client) tryAction(ctx context.Context, t *policytable.Table, a policytable.Action) (*failure, error) {
	fields := keyFields(t.Policy.GetName(), a.Key)
	var id string
	if a.Action != "create" {
		made, err := ask(ctx, c.keys.CreateKey, &adminv1.CreateKeyRequest{As: a.Key.GetCreator(), Key: fields})
		if err != nil {
			return nil, fmt.Errorf("making the key that is acted on: %w", err)
		}
		id = made.GetKey().GetId()
	}
	if a.Directory != nil {
		if err := c.replaceDirectory(ctx, overlay(t.Directory, a.Directory)); err != nil {
			return nil, err
		}
	}
	err := c.act(ctx, a, id, fields)
	if a.Directory != nil {
		if err := c.replaceDirectory(ctx, t.Directory); err != nil {
			return nil, err
		}
	}
	f := &failure{Place: a.Place, Rule: a.Rule, As: a.As, Action: a.Action, Key: a.Key.GetType(), Want: "permitted", Got: "permitted"}
	var call *connect.Error
	if err != nil {
		if !errors.As(err, &call) || !judged(call.Code()) {
			return nil, err
		}
		f.Got, f.Detail = "refused", call.Message()
	}
	if !a.Permitted {
		f.Want = "refused"
	}
	switch {
	case f.Want != f.Got:
		return f, nil
	// A list leaves out what the caller may not see, without a word.
	case err != nil && a.Action != "list" && !strings.Contains(call.Message(), a.Message):
		f.Want, f.Got, f.Detail = fmt.Sprintf("refused: …%s…", a.Message), "refused: "+call.Message(), ""
		return f, nil
	}
	return nil, nil
}

// judged reports whether an answer is a judgement and not an accident.
func judged(code connect.Code) bool {
	switch code {
	case connect.CodePermissionDenied, connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeNotFound:
		return true
	}
	return false
}

// act does what the action says.
func (c *client) act(ctx context.Context, a policytable.Action, id string, fields *adminv1.KeyFields) error {
	var err error
	switch a.Action {
	case "create":
		_, err = ask(ctx, c.keys.CreateKey, &adminv1.CreateKeyRequest{As: a.As, Key: fields, DryRun: true})
	case "list":
		var page *adminv1.ListKeysResponse
		q := &adminv1.ListKeysRequest{As: a.As, Policy: fields.GetPolicy(), Type: fields.GetType()}
		for err == nil {
			if page, err = ask(ctx, c.keys.ListKeys, q); err != nil {
				break
			}
			for _, k := range page.GetKeys() {
				if k.GetId() == id {
					return nil
				}
			}
			if q.PageToken = page.GetNextPageToken(); q.PageToken == "" {
				return connect.NewError(connect.CodePermissionDenied, errors.New("the key is not listed"))
			}
		}
	case "show":
		_, err = ask(ctx, c.keys.GetKey, &adminv1.GetKeyRequest{As: a.As, Id: id})
	case "reveal":
		_, err = ask(ctx, c.keys.GetKey, &adminv1.GetKeyRequest{As: a.As, Id: id, Reveal: true})
	case "update":
		_, err = ask(ctx, c.keys.UpdateKey, &adminv1.UpdateKeyRequest{As: a.As, Id: id, Description: proto.String("changed"), DryRun: true})
	case "rotate":
		_, err = ask(ctx, c.keys.RotateKey, &adminv1.RotateKeyRequest{As: a.As, Id: id, DryRun: true})
	case "revoke":
		_, err = ask(ctx, c.keys.RevokeKey, &adminv1.RevokeKeyRequest{As: a.As, Id: id, DryRun: true})
	case "disable":
		_, err = ask(ctx, c.keys.DisableKey, &adminv1.DisableKeyRequest{As: a.As, Id: id, DryRun: true})
	case "enable":
		_, err = ask(ctx, c.keys.EnableKey, &adminv1.EnableKeyRequest{As: a.As, Id: id, DryRun: true})
	default:
		err = fmt.Errorf("the action %q can't be tried", a.Action)
	}
	return err
}

// overlay is a directory with objects replaced.
func overlay(base, over *directoryv1.Directory) *directoryv1.Directory {
	d := &directoryv1.Directory{Tenants: over.GetTenants(), Principals: over.GetPrincipals()}
	named := map[string]bool{}
	for _, t := range over.GetTenants() {
		named[t.GetId()] = true
	}
	for _, p := range over.GetPrincipals() {
		named[p.GetId()] = true
	}
	for _, t := range base.GetTenants() {
		if !named[t.GetId()] {
			d.Tenants = append(d.Tenants, t)
		}
	}
	for _, p := range base.GetPrincipals() {
		if !named[p.GetId()] {
			d.Principals = append(d.Principals, p)
		}
	}
	return d
}

// inProcess hands requests to a handler as the operator, without a network.
type inProcess struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.WithContext(admin.WithOperator(r.Context(), "table"))
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	w := &answerWriter{header: http.Header{}, status: http.StatusOK}
	p.handler.ServeHTTP(w, r)
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header            { return w.header }
func (w *answerWriter) WriteHeader(status int)         { w.status = status }
func (w *answerWriter) Write(text []byte) (int, error) { return w.body.Write(text) }
