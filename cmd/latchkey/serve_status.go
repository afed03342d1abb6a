package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/authz"
	"github.com/latchkey/latchkey/key"
	"github.com/latchkey/latchkey/policy"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	"github.com/latchkey/latchkey/proto/latchkey/admin/v1/adminv1connect"
	"github.com/latchkey/latchkey/storage"
)

// statusService tells about the running process, on its admin listener.
type statusService struct{ p *process }

var _ adminv1connect.ServerServiceHandler = statusService{}

// missing returns what the process still lacks to decide requests. Every
// listener is open before anything is served.
func (p *process) missing() []string {
	var missing []string
	switch v := p.source(); {
	case v.Revision == 0 && len(p.files.named()) == 0:
		missing = append(missing, "the store is empty: apply a policy (latchkey policy apply), or start with --policy")
	case v.Policies == nil || len(v.Policies.Names()) == 0:
		missing = append(missing, "no policy is in use: apply one (latchkey policy apply), or start with --policy")
	}
	return missing
}

// GetStatus says what the process is, has and listens on.
func (s statusService) GetStatus(context.Context, *connect.Request[adminv1.GetStatusRequest]) (*connect.Response[adminv1.GetStatusResponse], error) {
	p := s.p
	missing := slices.Concat(p.missing(), p.files.missing(), p.listeners.Problems())
	problems := append(slices.Clone(missing), p.files.problems()...)
	if p.file != nil {
		problems = append(problems, p.file.Problems()...)
	}
	if p.link != nil {
		problems = append(problems, p.link.Problems()...)
	}
	if p.hub != nil {
		problems = append(problems, p.hub.Problems()...)
	}
	degraded := p.store.Problem()
	if degraded != nil {
		problems = append(problems, storage.TroubleText(degraded))
	}
	problems = append(problems, p.usage.Problems()...)
	status := &adminv1.GetStatusResponse{
		Version: thisBuild().Version, Ready: len(missing) == 0, Problems: problems, Degraded: degraded != nil,
		Data: p.dataFolder(), StartedAt: timestamppb.New(p.started),
	}
	for _, l := range p.listeners.All() {
		status.Listeners = append(status.Listeners, &adminv1.Listener{Name: l.Name, Address: l.Address().String()})
	}
	policies, err := p.admin.Policies()
	if err != nil {
		return nil, err
	}
	status.Policies = policies
	v := p.db.Now()
	keys, tenants, principals := v.Counts()
	status.Keys, status.Tenants, status.Principals = uint64(keys), uint64(tenants), uint64(principals)
	status.Position = shownPosition(v.Position())
	if p.hub != nil {
		replicas := p.hub.Replicas()
		for i := range replicas {
			status.Replicas = append(status.Replicas, shownReplica(&replicas[i]))
		}
	}
	return connect.NewResponse(status), nil
}

// Explain decides a request as Check would, and says how.
func (s statusService) Explain(_ context.Context, r *connect.Request[adminv1.ExplainRequest]) (*connect.Response[adminv1.ExplainResponse], error) {
	q, err := question(r.Msg)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	var e authz.Explanation
	answer := &adminv1.ExplainResponse{}
	s.p.db.View(func(v *storage.View) {
		if id := r.Msg.GetKeyId(); id != "" {
			q.Presented = &authz.Presented{}
			var k *key.Record
			if k, err = v.Key(id); k != nil {
				q.Presented.Facts = k.Facts()
			}
		}
		if err == nil {
			e = authz.Explain(view(v), q, time.Now())
		}
		answer.Position = shownPosition(v.Position())
	})
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("reading the key: %w", err))
	}
	if id := r.Msg.GetKeyId(); id != "" && q.Presented.Facts == nil {
		return nil, admin.Status(cmp.Or(s.p.db.Missing(id), admin.UnknownKey(id)))
	}
	reason := e.Verdict.Reason
	answer.Allowed, answer.Status, answer.Reason, answer.Message = reason.Allows(), uint32(e.Status), reason.String(), reason.Message()
	answer.Identity, answer.Required, answer.Held, answer.Missing, answer.Cuts = e.Identity, e.Required, e.Held, e.Missing, e.Cuts
	for _, step := range e.Steps {
		answer.Steps = append(answer.Steps, &adminv1.Step{Check: step.Check, Passed: step.Passed, Detail: step.Detail})
	}
	if p := e.Verdict.Place.Policy; p != nil {
		answer.Policy = p.Name()
	}
	if k := e.Verdict.Key; k != nil {
		answer.KeyId, answer.KeyType = k.ID.String(), k.Type
	}
	if route := e.Verdict.Route; route != nil {
		answer.Endpoint, answer.Route = route.Endpoint.Name, route.Text
	}
	return connect.NewResponse(answer), nil
}

func shownPosition(p storage.Position) *adminv1.Position {
	return &adminv1.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest.String()}
}

// question reads what is asked about. The URL is cut and never parsed: it has
// to arrive as Envoy would have had it.
func question(m *adminv1.ExplainRequest) (authz.Question, error) {
	q := authz.Question{Method: m.GetMethod(), Token: key.NewToken(m.GetToken()), Extensions: m.GetContextExtensions()}
	if m.GetMethod() == "" {
		return q, errors.New("the method is missing")
	}
	if m.GetKeyId() != "" && m.GetToken() != "" {
		return q, errors.New("a key and a token are given: give one of them")
	}
	scheme, rest, ok := strings.Cut(m.GetUrl(), "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return q, errors.New("the URL isn't whole: write https://HOST/PATH")
	}
	q.Host, q.Path = rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		q.Host, q.Path = rest[:i], rest[i:]
	}
	if strings.HasPrefix(q.Path, "?") {
		q.Path = "/" + q.Path // as every client does
	}
	for _, line := range m.GetHeaders() {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return q, errors.New("a header isn't whole: write name: value")
		}
		q.Headers = append(q.Headers, policy.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	return q, nil
}
