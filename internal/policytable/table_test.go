package policytable

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const smallPolicy = "name: demo\nhosts: [api.demo.example]\n"

func TestCasesAreEveryCombination(t *testing.T) {
	dir := folder(t, map[string]string{
		PolicyFile: smallPolicy,
		TableFile: `
keys:
  a: {type: secret}
  b: {type: secret, state: revoked}
rows:
  - rule: reads
    keys: [a, none, b]
    requests: [GET /v1/x, "HEAD https://other.example:8080/v1//x?y=%20z"]
    headers: {x-team-id: t_1}
    expect: ALLOWED
    identity: {policy: demo, role: ""}
management:
  - rule: rule
    as: user:ada
    actions: [create, rotate]
    key: {type: secret}
    expect: refused
    message: not yours
`,
	})
	table, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range table.Cases() {
		got = append(got, strings.Join([]string{c.KeyName(), c.Method, c.Host, c.Path, c.Expect, c.Headers["x-team-id"]}, " "))
	}
	want := []string{
		"a GET api.demo.example /v1/x ALLOWED t_1",
		"a HEAD other.example:8080 /v1//x?y=%20z ALLOWED t_1",
		"none GET api.demo.example /v1/x ALLOWED t_1",
		"none HEAD other.example:8080 /v1//x?y=%20z ALLOWED t_1",
		"b GET api.demo.example /v1/x ALLOWED t_1",
		"b HEAD other.example:8080 /v1//x?y=%20z ALLOWED t_1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if place := table.Cases()[0].Place; place != filepath.Join(dir, TableFile)+":8" {
		t.Errorf("place %s, want line 8", place)
	}
	actions := table.Management()
	if len(actions) != 2 || actions[0].Action != "create" || actions[1].Action != "rotate" || actions[1].As != "user:ada" || actions[1].Permitted {
		t.Errorf("management: %+v", actions)
	}
	if table.Rows() != 2 {
		t.Errorf("%d rows, want 2", table.Rows())
	}
}

func TestHostOfAnEnvironment(t *testing.T) {
	dir := folder(t, map[string]string{
		PolicyFile: "name: demo\nenvironments:\n  live: {hosts: [live.example]}\n  test: {hosts: [test.example]}\n",
		TableFile:  "rows: [{rule: r, keys: [none], requests: [GET /], expect: KEY_MISSING}]\n",
	})
	table, err := Load(filepath.Join(dir, TableFile))
	if err != nil {
		t.Fatal(err)
	}
	if host := table.Cases()[0].Host; host != "live.example" {
		t.Errorf("host %q, want that of the first environment", host)
	}
}

func TestMistakesOfTables(t *testing.T) {
	row := func(text string) string {
		return "keys: {admin: {type: secret}, a: {type: secret}}\nrows:\n  - " + text + "\n"
	}
	for name, test := range map[string]struct{ table, want string }{
		"unknown key":    {row("{rule: r, keys: [admn], requests: [GET /], expect: ALLOWED}"), `did you mean "admin"?`},
		"no request":     {row("{rule: r, keys: [a], requests: [/x], expect: ALLOWED}"), "it is no request"},
		"host without":   {row("{rule: r, keys: [a], requests: [GET https://h], expect: ALLOWED}"), "it is no request"},
		"no expectation": {row("{rule: r, keys: [a], requests: [GET /]}"), "not whole"},
		"empty":          {"keys: {a: {type: secret}}\n", "no rows"},
		"state":          {"keys: {a: {type: secret, state: dead}}\nrows: [{rule: r, keys: [a], requests: [GET /], expect: ALLOWED}]\n", `no state "dead"`},
		"key none":       {"keys: {none: {type: secret}}\nrows: [{rule: r, keys: [none], requests: [GET /], expect: ALLOWED}]\n", "called none"},
		"action":         {"management: [{rule: r, actions: [destroy], key: {type: secret}, expect: refused}]\n", `no action "destroy"`},
		"permitted":      {"management: [{rule: r, actions: [create], key: {type: secret}, expect: yes please}]\n", "permitted or refused"},
		"unknown field":  {row("{rule: r, keys: [a], requests: [GET /], expects: ALLOWED}"), "expects"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(folder(t, map[string]string{PolicyFile: smallPolicy, TableFile: test.table}))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), TableFile+":") {
				t.Errorf("got %v, want %q at its place", err, test.want)
			}
		})
	}
}

func TestMistakesOfAllFilesAreTold(t *testing.T) {
	_, err := Load(folder(t, map[string]string{
		PolicyFile: "nme: demo\n", DirectoryFile: "tenant: []\n", TableFile: "row: []\n",
	}))
	for _, want := range []string{PolicyFile + ":1", DirectoryFile + ":1", TableFile + ":1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a mistake at %s", err, want)
		}
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("want an error for an empty folder")
	}
}
