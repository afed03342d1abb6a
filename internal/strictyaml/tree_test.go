package strictyaml

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestReadTree(t *testing.T) {
	tree, err := ReadTree("x.yaml", []byte("# first\nlist: [1, 'two', true, ~, 1.5]\nmap:\n  b: \"x\\ny\"\n  a: &x {k: yes}\nagain: *x\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"list":[1,"two",true,null,1.5],"map":{"b":"x\ny","a":{"k":"yes"}},"again":{"k":"yes"}}`
	if got := string(tree.JSON()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if a := tree.Member("map").Member("a").Member("k"); a.Line != 5 || a.Column != 13 {
		t.Errorf("the place of a value is %d:%d", a.Line, a.Column)
	}
	if tree.Member("none").Member("none") != nil || tree.Member("list").Member("0") != nil {
		t.Error("a member that isn't there")
	}
}

func TestTreesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"a key that stands twice": {"a: {b: 1, c: 2, b: 3}", `x.yaml:1:17: "b" stands twice, first in line 1: remove one of them`},
		"a list as a key":         {"? [a]\n: b", "x.yaml:1:3: the key of a mapping is a list"},
		"too deep":                {strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested deeper than 128 levels"},
		"an alias of itself":      {"a: &a [*a, *a]", "nested deeper than 128 levels"},
		"a second document":       {"a: 1\n---\nb: 1", "a second document"},
	} {
		if _, err := ReadTree("x.yaml", []byte(c.src)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ReadTree("x.yaml", []byte("key: s3cret\nkey: s3cret\n")); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error shows what the file holds: %v", err)
	}
	if _, err := ReadTree("x", bytes.Repeat([]byte(" "), MaxTreeSize+1)); err == nil || !strings.Contains(err.Error(), "33554432") {
		t.Errorf("too large: %v", err)
	}
}

// FuzzReadTree: JSON that is read comes out as the same JSON.
func FuzzReadTree(f *testing.F) {
	f.Add("{\"a\":\t[1, -2.5e3, \"\\u00e9\", true, null, {}], \"b\": \"no\"}")
	f.Add(`"~"`)
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, src string) {
		tree, err := ReadTree("x", []byte(src))
		if err != nil {
			return
		}
		var in, out any
		if !json.Valid(tree.JSON()) {
			t.Fatalf("%s is no JSON", tree.JSON())
		}
		if json.Unmarshal([]byte(src), &in) != nil || strings.Contains(src, "\t") {
			return
		}
		if err := json.Unmarshal(tree.JSON(), &out); err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%s became %s", src, tree.JSON())
		}
	})
}
