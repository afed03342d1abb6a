package directory_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/directory"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
)

// world is a directory of plain maps.
type world struct {
	tenants    map[string]*directory.Tenant
	principals map[string]*directory.Principal
}

func (w world) Tenant(id string) (directory.Tenant, bool) {
	return directory.Maps{Tenants: w.tenants, Principals: w.principals}.Tenant(id)
}

func (w world) Principal(id string) (directory.Person, bool) {
	return directory.Maps{Tenants: w.tenants, Principals: w.principals}.Principal(id)
}

// tenants reads "child<parent" words; a "!" in front is one that is suspended.
func tenants(text string) world {
	w := world{tenants: map[string]*directory.Tenant{}}
	for word := range strings.FieldsSeq(text) {
		word, suspended := strings.CutPrefix(word, "!")
		id, parent, _ := strings.Cut(word, "<")
		w.tenants[id] = &directory.Tenant{ID: id, Parent: parent, Suspended: suspended}
	}
	return w
}

// chain is a tenant t:0 with so many ancestors.
func chain(ancestors int) string {
	var b strings.Builder
	for i := range ancestors {
		fmt.Fprintf(&b, "t:%d<t:%d ", i, i+1)
	}
	fmt.Fprintf(&b, "t:%d", ancestors)
	return b.String()
}

func TestActive(t *testing.T) {
	for _, test := range []struct {
		name, tenants, id string
		want              bool
	}{
		{"alone", "t:a", "t:a", true},
		{"not there", "t:a", "t:b", false},
		{"no name", "t:a", "", false},
		{"suspended", "!t:a", "t:a", false},
		{"child of an active one", "t:a<t:b t:b", "t:a", true},
		{"child of a suspended one", "t:a<t:b !t:b", "t:a", false},
		{"suspended child", "!t:a<t:b t:b", "t:a", false},
		{"parent of a suspended one", "!t:a<t:b t:b", "t:b", true},
		{"missing parent", "t:a<t:b", "t:a", false},
		{"missing grandparent", "t:a<t:b t:b<t:c", "t:a", false},
		{"suspended grandparent", "t:a<t:b t:b<t:c !t:c", "t:a", false},
		{"its own parent", "t:a<t:a", "t:a", false},
		{"a circle", "t:a<t:b t:b<t:c t:c<t:b", "t:a", false},
		{"as deep as allowed", chain(directory.MaxDepth), "t:0", true},
		{"too deep", chain(directory.MaxDepth + 1), "t:0", false},
		{"within what is too deep", chain(directory.MaxDepth + 1), "t:1", true},
	} {
		if got := directory.Active(tenants(test.tenants), test.id); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestCheckTree(t *testing.T) {
	for _, test := range []struct {
		name, tenants, ids string
		want               []string // what the error says; none: no error
	}{
		{"none", "", "", nil},
		{"roots", "t:a t:b", "t:a t:b", nil},
		{"a tree", "t:a<t:c t:b<t:c t:c", "t:a t:b t:c", nil},
		{"suspended ones are no mistake", "t:a<t:c !t:c", "t:a t:c", nil},
		{"missing parent", "t:a<t:b", "t:a", []string{"t:a: its parent t:b"}},
		{"missing grandparent", "t:a<t:b t:b<t:c", "t:a", []string{"t:b: its parent t:c"}},
		{"its own parent", "t:a<t:a", "t:a", []string{"t:a", "circle"}},
		{"a circle", "t:a<t:b t:b<t:a", "t:a t:b", []string{"t:a: its parents form a circle", "t:b: its parents form a circle"}},
		{"above a circle", "t:x t:a<t:b t:b<t:a", "t:x", nil},
		{"as deep as allowed", chain(directory.MaxDepth), "t:0", nil},
		{"too deep", chain(directory.MaxDepth + 1), "t:0 t:1", []string{"t:0", "more than 8"}},
		{"one that is gone", "t:a", "t:b", nil},
	} {
		err := directory.CheckTree(tenants(test.tenants), strings.Fields(test.ids))
		if (err != nil) != (len(test.want) > 0) {
			t.Errorf("%s: error %v", test.name, err)
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", test.name, err, want)
			}
		}
	}
}

// What CheckTree lets in can be active, and what it doesn't never is.
func TestCheckTreeAgreesWithActive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{tenants: map[string]*directory.Tenant{}}
		n := rapid.IntRange(1, 14).Draw(t, "tenants")
		for i := range n {
			o := &directory.Tenant{ID: fmt.Sprintf("t:%d", i)}
			if p := rapid.IntRange(-1, n).Draw(t, "parent"); p >= 0 {
				o.Parent = fmt.Sprintf("t:%d", p) // t:n is missing
			}
			w.tenants[o.ID] = o
		}
		for id := range w.tenants {
			if ok := directory.CheckTree(w, []string{id}) == nil; ok != directory.Active(w, id) {
				t.Fatalf("%s: let in %v, active %v", id, ok, !ok)
			}
		}
	})
}

func TestPrincipals(t *testing.T) {
	ada := &directory.Principal{ID: "user:ada", Memberships: map[string]string{"org:o_1": "owner", "org:o_2": ""}}
	bob := &directory.Principal{ID: "user:bob", Suspended: true}
	w := world{principals: map[string]*directory.Principal{ada.ID: ada, bob.ID: bob}}
	for id, want := range map[string]bool{ada.ID: true, bob.ID: false, "user:eve": false} {
		if who, active := directory.ActivePrincipal(w, id); active != want || active && who.ID() != id {
			t.Errorf("%s: active %v", id, active)
		}
	}
	for _, test := range []struct {
		tenant string
		roles  []string
		want   bool
	}{
		{"org:o_1", nil, true},
		{"org:o_1", []string{"owner"}, true},
		{"org:o_1", []string{"admin", "owner"}, true},
		{"org:o_1", []string{"admin"}, false},
		{"org:o_1", []string{"Owner"}, false},
		{"org:o_3", nil, false},
		{"org:o_3", []string{""}, false},
		{"", nil, false},
	} {
		if got := ada.Packed().Member(test.tenant, test.roles...); got != test.want {
			t.Errorf("%s %q: %v", test.tenant, test.roles, got)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, test := range []struct {
		text                 string
		name, id, permission bool
	}{
		{"t_1", true, false, true},
		{"A-Za.z0~9_", true, false, true},
		{long, true, false, true},
		{long + "a", false, false, false},
		{"", false, false, false},
		{"team:t_1", false, true, true},
		{"team:" + long, false, true, false},
		{"team:" + long + "a", false, false, false},
		{long + ":" + long, false, true, false},
		{"team:", false, false, true},
		{":t_1", false, false, true},
		{":", false, false, true},
		{"a:b:c", false, false, true},
		{"a b", false, false, false},
		{"team:t 1", false, false, false},
		{"team:t/1", false, false, false},
		{"team:t\n1", false, false, false},
		{"team:t%31", false, false, false},
		{"team:t,1", false, false, false},
		{"team:\u00e9", false, false, false},
		{"team:\x00", false, false, false},
		{"*", false, false, false},
	} {
		if got := directory.ValidName(test.text); got != test.name {
			t.Errorf("ValidName(%q): %v", test.text, got)
		}
		if got := directory.CheckID(test.text) == nil; got != test.id {
			t.Errorf("CheckID(%q): %v", test.text, got)
		}
		if got := directory.ValidPermission(test.text); got != test.permission {
			t.Errorf("ValidPermission(%q): %v", test.text, got)
		}
	}
	if directory.Kind("team:t_1") != "team" || directory.Name("team:t_1") != "t_1" {
		t.Error("the parts of a name")
	}
}

func TestCheckSaysWhere(t *testing.T) {
	for _, test := range []struct {
		check func() error
		want  string
	}{
		{(&directory.Tenant{ID: "team:t_1", Parent: "org:o_1", Plan: "pro"}).Check, ""},
		{(&directory.Tenant{ID: "t_1"}).Check, `tenants: t_1: "t_1" is not a name`},
		{(&directory.Tenant{ID: "team:t_1", Parent: "o_1"}).Check, `tenants: team:t_1: parent: "o_1"`},
		{(&directory.Tenant{ID: "team:t_1", Parent: "team:t_1"}).Check, "own parent"},
		{(&directory.Tenant{ID: "team:t_1", Plan: "pro plan"}).Check, `plan "pro plan"`},
		{(&directory.Principal{ID: "user:ada", Memberships: map[string]string{"team:t_1": "owner"}, Permissions: map[string][]string{"team:t_1": {"a:b"}}}).Check, ""},
		{(&directory.Principal{ID: "ada"}).Check, "principals: ada"},
		{(&directory.Principal{ID: "user:ada", Memberships: map[string]string{"t_1": "owner"}}).Check, "memberships"},
		{(&directory.Principal{ID: "user:ada", Memberships: map[string]string{"team:t_1": ""}}).Check, `role ""`},
		{(&directory.Principal{ID: "user:ada", Permissions: map[string][]string{"t_1": {"a"}}}).Check, "permissions"},
		{(&directory.Principal{ID: "user:ada", Permissions: map[string][]string{"team:t_1": {"a", "b c"}}}).Check, `permission "b c"`},
	} {
		if err := test.check(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

func TestStoredFormKeepsAll(t *testing.T) {
	tenant := &directory.Tenant{ID: "team:t_1", Parent: "org:o_1", Plan: "pro", Suspended: true, Revision: 7}
	principal := &directory.Principal{
		ID: "user:ada", Memberships: map[string]string{"team:t_1": "owner"}, Suspended: true, Revision: 7,
		Permissions: map[string][]string{"team:t_1": {"b", "a"}, "team:t_2": nil},
	}
	for _, o := range []any{*tenant, *principal} {
		for i := range reflect.TypeOf(o).NumField() {
			if reflect.ValueOf(o).Field(i).IsZero() {
				t.Errorf("the test leaves %s empty", reflect.TypeOf(o).Field(i).Name)
			}
		}
	}
	var tp directoryv1.Tenant
	var pp directoryv1.Principal
	copyThrough(t, tenant.ToProto(), &tp)
	copyThrough(t, principal.ToProto(), &pp)
	if got, err := directory.TenantFromProto(&tp); err != nil || *got != *tenant {
		t.Errorf("%+v came back as %+v, %v", tenant, got, err)
	}
	if got, err := directory.PrincipalFromProto(&pp); err != nil || !reflect.DeepEqual(got, principal) {
		t.Errorf("%+v came back as %+v, %v", principal, got, err)
	}
	if got, err := directory.TenantFromProto((&directory.Tenant{ID: "team:t_1"}).ToProto()); err != nil || got.Suspended {
		t.Errorf("an active tenant came back as %+v, %v", got, err)
	}
}

func copyThrough(t *testing.T, from, to proto.Message) {
	t.Helper()
	data, err := proto.Marshal(from)
	if err == nil {
		err = proto.Unmarshal(data, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFromProtoRefuses(t *testing.T) {
	numbers := &structpb.ListValue{Values: []*structpb.Value{structpb.NewNumberValue(1)}}
	for name, read := range map[string]func() error{
		"no tenant name": func() error { _, err := directory.TenantFromProto(&directoryv1.Tenant{}); return err },
		"tenant status": func() error {
			_, err := directory.TenantFromProto(&directoryv1.Tenant{Id: "a:b", Status: "Suspended"})
			return err
		},
		"principal status": func() error {
			_, err := directory.PrincipalFromProto(&directoryv1.Principal{Id: "a:b", Status: "deleted"})
			return err
		},
		"permissions of numbers": func() error {
			_, err := directory.PrincipalFromProto(&directoryv1.Principal{Id: "a:b", Permissions: map[string]*structpb.ListValue{"c:d": numbers}})
			return err
		},
	} {
		if read() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
