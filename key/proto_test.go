package key_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/key"
	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
)

// records draws records as they may be stored.
func records() *rapid.Generator[*key.Record] {
	return rapid.Custom(func(t *rapid.T) *key.Record {
		text := func(name string) string { return rapid.StringMatching(`[a-z:é]{0,5}`).Draw(t, name) }
		moment := func(name string) time.Time {
			return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, name), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		}
		maybe := func(name string) time.Time {
			if rapid.Bool().Draw(t, name+" is set") {
				return moment(name)
			}
			return time.Time{}
		}
		r := &key.Record{
			ID: "key_" + text("id"), Policy: "p" + text("policy"), Type: "t" + text("type"), Environment: text("environment"),
			Creator: text("creator"), Role: text("role"), Name: text("name"), Description: text("description"),
			Created: moment("created"), Expires: maybe("expires"), Revoked: maybe("revoked"),
			Disabled: rapid.Bool().Draw(t, "disabled"), System: rapid.Bool().Draw(t, "system"), Revision: rapid.Uint64().Draw(t, "revision"),
		}
		if n := rapid.IntRange(0, 3).Draw(t, "scopes"); n > 0 {
			r.Scopes = rapid.SliceOfN(rapid.String(), n, n).Draw(t, "scope")
		}
		if rapid.Bool().Draw(t, "tenant's") {
			r.Tenant = "org:" + text("tenant")
		} else {
			r.Principal = "user:" + text("principal")
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "secrets") {
			s := secret(string(rune('a' + i)))
			s.Created = moment("created")
			s.Until = moment("until")
			r.Secrets = append(r.Secrets, s)
		}
		r.Secrets[len(r.Secrets)-1].Until = time.Time{}
		return r
	})
}

func TestStoredFormKeepsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := records().Draw(t, "record")
		bytes, err := proto.Marshal(r.ToProto())
		if err != nil {
			t.Fatal(err)
		}
		var p keyv1.Record
		if err := proto.Unmarshal(bytes, &p); err != nil {
			t.Fatal(err)
		}
		got, err := key.FromProto(&p)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v came back as %+v", r, got)
		}
	})
}

// A field that someone adds to Record must be stored too: every field of this
// one is set, and the test says so when one isn't.
func TestStoredFormHasEveryField(t *testing.T) {
	s, old := secret("first"), secret("older")
	s.Created, old.Created, old.Until = start, start, start
	r := &key.Record{
		ID: "a", Policy: "b", Type: "c", Environment: "d", Tenant: "e", Creator: "f", Role: "g", Scopes: []string{"h"},
		Name: "i", Description: "j", Secrets: []key.Secret{old, s}, Created: start, Expires: start, Revoked: start,
		Disabled: true, System: true, Revision: 1,
	}
	for i := range reflect.TypeFor[key.Record]().NumField() {
		name := reflect.TypeFor[key.Record]().Field(i).Name
		if name != "Principal" && reflect.ValueOf(*r).Field(i).IsZero() {
			t.Errorf("the test leaves %s empty", name)
		}
	}
	message := r.ToProto().ProtoReflect()
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Name() != "principal" && !message.Has(f) {
			t.Errorf("ToProto leaves %s empty", f.Name())
		}
	}
	if got, err := key.FromProto(r.ToProto()); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("came back as %+v, %v", got, err)
	}
}

func TestFromProtoRepairsNothing(t *testing.T) {
	for name, damage := range map[string]func(*keyv1.Record){
		"no id":                    func(p *keyv1.Record) { p.Id = "" },
		"no policy":                func(p *keyv1.Record) { p.Policy = "" },
		"no type":                  func(p *keyv1.Record) { p.Type = "" },
		"no owner":                 func(p *keyv1.Record) { p.Tenant = "" },
		"two owners":               func(p *keyv1.Record) { p.Principal = "user:ada" },
		"no secret":                func(p *keyv1.Record) { p.Secrets = nil },
		"a nil secret":             func(p *keyv1.Record) { p.Secrets[1] = nil },
		"short digest":             func(p *keyv1.Record) { p.Secrets[0].Digest = p.Secrets[0].Digest[1:] },
		"long digest":              func(p *keyv1.Record) { p.Secrets[0].Digest = append(p.Secrets[0].Digest, 0) },
		"current secret has ended": func(p *keyv1.Record) { p.Secrets[1].Until = timestamppb.New(start) },
		"older secret hasn't":      func(p *keyv1.Record) { p.Secrets[0].Until = nil },
		"revoked at the zero time": func(p *keyv1.Record) { p.Revoked = timestamppb.New(time.Time{}) },
		"expires at the zero time": func(p *keyv1.Record) { p.Expires = timestamppb.New(time.Time{}) },
		"revoked before time":      func(p *keyv1.Record) { p.Revoked = &timestamppb.Timestamp{Seconds: math.MinInt64} },
		"expires after time":       func(p *keyv1.Record) { p.Expires = &timestamppb.Timestamp{Seconds: math.MaxInt64} },
		"broken nanoseconds":       func(p *keyv1.Record) { p.Secrets[0].Until = &timestamppb.Timestamp{Nanos: -1} },
	} {
		r, err := issued().Rotate(secret("second"), time.Minute, start)
		if err != nil {
			t.Fatal(err)
		}
		p := r.ToProto()
		if _, err := key.FromProto(p); err != nil {
			t.Fatalf("before the damage: %v", err)
		}
		damage(p)
		if got, err := key.FromProto(p); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	if _, err := key.FromProto(nil); err == nil {
		t.Error("nothing was read as a key")
	}
}

func FuzzFromProto(f *testing.F) {
	seed, err := proto.Marshal(issued().ToProto())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		var p keyv1.Record
		if proto.Unmarshal(data, &p) != nil {
			return
		}
		r, err := key.FromProto(&p)
		if err != nil {
			return
		}
		again, err := key.FromProto(r.ToProto())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%+v came back as %+v, %v", r, again, err)
		}
		r.Status(start)
		r.StatusOf(r.Current().Digest, start)
	})
}
