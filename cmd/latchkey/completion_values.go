package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/internal/strictyaml"
	"github.com/latchkey/latchkey/key"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

func proposeStatuses(*completer) []string {
	return []string{
		string(key.Active), string(key.Retiring) + "\tactive, and so is an older secret", string(key.Disabled),
		string(key.Expired), string(key.Revoked),
	}
}

// keysOf proposes ids of keys, the wanted ones among those that the flags
// select. Ids are in order, so that it looks only at those that begin so.
func keysOf(wanted func(*adminv1.Key) bool) proposals {
	return func(c *completer) (list []string) {
		if c.client == nil {
			return nil
		}
		q := &adminv1.ListKeysRequest{As: c.flag("as"), Policy: c.flag("policy"), Type: c.flag("type"), PageSize: completionMost}
		if len(c.begun) > len("key_") && strings.HasPrefix(c.begun, "key_") {
			before, ok := idBefore(c.begun)
			if !ok {
				return nil
			}
			q.PageToken = before
		}
		for len(list) < completionMost {
			page, err := c.keys.ListKeys(c.ctx, connect.NewRequest(q))
			if err != nil {
				return list
			}
			for _, k := range page.Msg.GetKeys() {
				begins := strings.HasPrefix(k.GetId(), c.begun)
				if !begins && k.GetId() > c.begun {
					return list
				}
				if begins && (wanted == nil || wanted(k)) {
					list = append(list, k.GetId()+"\t"+keyLine(k))
				}
			}
			if q.PageToken = page.Msg.GetNextPageToken(); q.PageToken == "" {
				return list
			}
		}
		return list
	}
}

// idBefore returns the last id before all that begin so, as a page token: what comes after it is listed. It is empty where
// there is none before, and not ok where no id begins so.
func idBefore(begun string) (id string, ok bool) {
	digits := strings.TrimPrefix(begun, "key_")
	if len(digits) > 32 {
		return "", false
	}
	first, ok := new(big.Int).SetString(digits+strings.Repeat("0", 32-len(digits)), 16)
	switch {
	case !ok || first.Sign() < 0:
		return "", false
	case first.Sign() == 0:
		return "", true
	}
	return fmt.Sprintf("key_%032x", first.Sub(first, big.NewInt(1))), true
}

// proposeObjects proposes what the log may be about: keys, or once that can't be meant what has another name.
func proposeObjects(c *completer) (list []string) {
	list = keysOf(nil)(c)
	if strings.HasPrefix(c.begun, "key_") {
		return list
	}
	return slices.Concat(list, proposeTenants(c), proposePrincipals(c), proposePolicies(c))
}

// proposeActions proposes what entries of the log are recorded as, and the groups of them.
func proposeActions(*completer) (list []string) {
	for _, action := range admin.Actions() {
		group, _, _ := strings.Cut(action, ".")
		list = append(list, group, action)
	}
	return once(list)
}

// keyLine tells a key from others.
func keyLine(k *adminv1.Key) string {
	return strictyaml.Printable(strings.Join([]string{k.GetPolicy(), k.GetType(), shownAs(k.GetPrefix(), k.GetLast4()), k.GetStatus()}, ", "))
}

func proposeReplicas(c *completer) (list []string) {
	if c.client == nil {
		return nil
	}
	a, err := c.server.GetStatus(c.ctx, connect.NewRequest(&adminv1.GetStatusRequest{}))
	if err != nil {
		return nil
	}
	for _, r := range a.Msg.GetReplicas() {
		list = append(list, r.GetId()+"\t"+strictyaml.Printable(r.GetName()))
	}
	return list
}

// inUse returns the policies in use that the command line is about.
func (c *completer) inUse() (list []*adminv1.Policy) {
	if c.client == nil {
		return nil
	}
	a, err := c.policies.ListPolicies(c.ctx, connect.NewRequest(&adminv1.ListPoliciesRequest{Details: true}))
	if err != nil {
		return nil
	}
	wanted, _ := c.about()
	for _, p := range a.Msg.GetPolicies() {
		if wanted == "" || wanted == p.GetName() {
			list = append(list, p)
		}
	}
	return list
}

// about returns the policy and the type that the command line names, by its
// flags or by a key.
func (c *completer) about() (policy, keyType string) {
	policy, keyType = c.flag("policy"), c.flag("type")
	if policy == "" && len(c.args) == 1 && argumentOf(c.cmd, 0) == "ID" {
		if a, err := c.keys.GetKey(c.ctx, connect.NewRequest(&adminv1.GetKeyRequest{Id: c.args[0]})); err == nil {
			return a.Msg.GetKey().GetPolicy(), a.Msg.GetKey().GetType()
		}
	}
	return policy, keyType
}

// inTypes calls f with the key types that the command line is about.
func (c *completer) inTypes(f func(*adminv1.KeyTypeDetails)) {
	_, wanted := c.about()
	for _, p := range c.inUse() {
		for _, t := range p.GetDetails().GetTypes() {
			if wanted == "" || wanted == t.GetName() {
				f(t)
			}
		}
	}
}

func proposePolicies(c *completer) (list []string) {
	if c.client == nil {
		return nil
	}
	a, err := c.policies.ListPolicies(c.ctx, connect.NewRequest(&adminv1.ListPoliciesRequest{}))
	if err != nil {
		return nil
	}
	for _, p := range a.Msg.GetPolicies() {
		list = append(list, p.GetName()+"\t"+strings.Join(p.GetHosts(), " "))
	}
	return list
}

func proposeTypes(c *completer) (list []string) {
	for _, p := range c.inUse() {
		for _, t := range p.GetDetails().GetTypes() {
			what := strictyaml.Printable(t.GetDescription())
			if what == "" {
				what = p.GetName()
			}
			list = append(list, t.GetName()+"\t"+what)
		}
	}
	return once(list)
}

func proposeScopes(c *completer) (list []string) {
	c.inTypes(func(t *adminv1.KeyTypeDetails) { list = append(list, t.GetScopes()...) })
	return once(list)
}

func proposeRoles(c *completer) (list []string) {
	c.inTypes(func(t *adminv1.KeyTypeDetails) { list = append(list, t.GetRoles()...) })
	return once(list)
}

func proposeEnvironments(c *completer) (list []string) {
	for _, p := range c.inUse() {
		list = append(list, p.GetEnvironments()...)
	}
	return once(list)
}

// urls proposes where the policies' hosts are.
func proposeUrls(c *completer) (list []string) {
	for _, p := range c.inUse() {
		for _, h := range p.GetHosts() {
			if !strings.HasPrefix(h, "*") {
				list = append(list, "https://"+h+"/")
			}
		}
	}
	return list
}

func proposeTenants(c *completer) (list []string) {
	for _, t := range c.people().GetTenants() {
		list = append(list, t.GetId()+"\t"+strictyaml.Printable(strings.TrimSpace(t.GetPlan()+" "+t.GetStatus())))
	}
	return list
}

func proposePrincipals(c *completer) (list []string) {
	for _, p := range c.people().GetPrincipals() {
		list = append(list, p.GetId()+"\t"+strictyaml.Printable(strings.TrimSpace(roles(p)+" "+p.GetStatus())))
	}
	return list
}

// people returns tenants and principals that begin so, a bounded number of them.
func (c *completer) people() *directoryv1.Directory {
	if c.client == nil {
		return nil
	}
	a, err := c.directory.GetDirectory(c.ctx, connect.NewRequest(&adminv1.GetDirectoryRequest{Prefix: c.begun, Limit: completionMost}))
	if err != nil {
		return nil
	}
	return a.Msg.GetDirectory()
}

// once leaves out what stands in the list before.
func once(list []string) (out []string) {
	seen := map[string]bool{}
	for _, one := range list {
		name, _, _ := strings.Cut(one, "\t")
		if !seen[name] {
			out = append(out, one)
		}
		seen[name] = true
	}
	return out
}
