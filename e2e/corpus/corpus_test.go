package corpus

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/oracle"
)

func TestCases(t *testing.T) {
	w := oracle.Fixture()
	cases := Cases(w)
	classes, names := map[string]int{}, map[string]bool{}
	var order []string
	for _, c := range cases {
		if classes[c.Class] == 0 {
			order = append(order, c.Class)
		}
		classes[c.Class]++
		if name := c.Class + "/" + c.Name; names[name] {
			t.Errorf("two cases are named %s", name)
		} else {
			names[name] = true
		}
		if (c.Proto == "h1") != (c.Raw != nil) || (c.Proto == "h2") != (c.H2 != nil) {
			t.Errorf("%s/%s: proto %q with Raw %v, H2 %v", c.Class, c.Name, c.Proto, c.Raw != nil, c.H2 != nil)
		}
		if c.Class != "smuggling" && c.Class != "websocket" && c.Proto == "h1" && !bytes.Contains(c.Raw, []byte("Connection: close\r\n")) {
			t.Errorf("%s/%s keeps its connection", c.Class, c.Name)
		}
	}
	for _, class := range order {
		t.Logf("%5d %s", classes[class], class)
	}
	t.Logf("%5d in all", len(cases))
	if len(cases) < 1200 {
		t.Errorf("%d cases, want 1200", len(cases))
	}
	for _, class := range strings.Fields("path credential keymut prefix cross-system method override host absolute spoofing smuggling http2 grpc grpc-web websocket tenant admin state limits") {
		if classes[class] < 10 {
			t.Errorf("%d cases of class %s", classes[class], class)
		}
	}
	if !reflect.DeepEqual(cases, Cases(oracle.Fixture())) {
		t.Error("the cases differ from call to call")
	}
}
