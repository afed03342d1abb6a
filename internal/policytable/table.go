// Package policytable reads the table of requests and decisions that lies
// beside a policy (requests.yaml), and takes it apart into cases: one key, one
// request, one outcome each.
//
// It decides nothing. `latchkey policy test` holds the cases against the policy,
// and tests hold the same cases against what a real Envoy answers.
package policytable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/latchkey/latchkey/internal/strictyaml"
	directoryv1 "github.com/latchkey/latchkey/proto/latchkey/directory/v1"
	policyv1 "github.com/latchkey/latchkey/proto/latchkey/policy/v1"
	tablev1 "github.com/latchkey/latchkey/proto/latchkey/table/v1"
)

// Names of the three files of a folder.
const (
	PolicyFile    = "policy.yaml"
	DirectoryFile = "directory.yaml"
	TableFile     = "requests.yaml"
)

// NoKey is the name in a row that stands for a request without a credential of
// its own.
const NoKey = "none"

// Table is a table of requests with the policy and the directory that it is
// about. It is not to be changed.
type Table struct {
	File      string // the table's
	Dir       string // where all three lie
	Policy    *policyv1.Policy
	PolicySrc []byte // the text of the policy
	Directory *directoryv1.Directory
	Keys      []*tablev1.Key

	table  *tablev1.Table
	source *strictyaml.Source
}

// Load reads the table in a folder, or the given table, with the policy and the
// directory beside it; a folder without a directory.yaml has an empty one. The
// error holds every mistake of all three as strictyaml.Mistakes, if that is
// what is wrong. What the policy means is not looked at.
func Load(path string) (*Table, error) {
	t := &Table{File: path, Dir: filepath.Dir(path), Policy: &policyv1.Policy{}, Directory: &directoryv1.Directory{}, table: &tablev1.Table{}}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		t.File, t.Dir = filepath.Join(path, TableFile), path
	}
	var mistakes strictyaml.Mistakes
	var errs []error
	read := func(file string, into proto.Message) (*strictyaml.Source, []byte) {
		text, err := strictyaml.ReadStream(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading a table: %w", err))
			return nil, nil
		}
		source, err := strictyaml.Decode(file, text, into)
		var found strictyaml.Mistakes
		if errors.As(err, &found) {
			mistakes = append(mistakes, found...)
		} else if err != nil {
			errs = append(errs, err)
		}
		return source, text
	}
	_, t.PolicySrc = read(filepath.Join(t.Dir, PolicyFile), t.Policy)
	if _, err := os.Stat(filepath.Join(t.Dir, DirectoryFile)); !errors.Is(err, fs.ErrNotExist) {
		read(filepath.Join(t.Dir, DirectoryFile), t.Directory)
	}
	t.source, _ = read(t.File, t.table)
	t.Keys = t.table.GetKeys()
	if len(mistakes)+len(errs) == 0 {
		mistakes = t.check()
	}
	if len(mistakes) > 0 {
		errs = append(errs, mistakes)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return t, nil
}

// Case is one request with one key, and what is expected of it.
type Case struct {
	Place    string // file and line of the request
	Rule     string
	Key      *tablev1.Key // nil: none
	Request  string       // as the table has it
	Method   string
	Host     string
	Path     string            // with the query
	Headers  map[string]string // beside the credential of the key
	Expect   string            // name of a reason
	Identity map[string]string // without the prefix; an empty value: absent
	// Directory holds what is replaced in the table's directory; may be nil.
	Directory *directoryv1.Directory
}

// Cases returns every combination of keys and requests of every row.
func (t *Table) Cases() []Case {
	keys := map[string]*tablev1.Key{}
	for _, k := range t.Keys {
		keys[k.GetName()] = k
	}
	var cases []Case
	for i, row := range t.table.GetRows() {
		for _, name := range row.GetKeys() {
			for j, request := range row.GetRequests() {
				c := Case{
					Place: t.place("rows", strconv.Itoa(i), "requests", strconv.Itoa(j)), Rule: row.GetRule(),
					Key: keys[name], Request: request, Headers: row.GetHeaders(), Expect: row.GetExpect(),
					Identity: row.GetIdentity(), Directory: row.GetDirectory(),
				}
				c.Method, c.Host, c.Path, _ = parseRequest(request) // checked by Load
				if c.Host == "" {
					c.Host = t.Host()
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// KeyName is the name of the case's key in the table.
func (c Case) KeyName() string {
	if c.Key == nil {
		return NoKey
	}
	return c.Key.GetName()
}

// Action is one action on a key, and whether it is permitted.
type Action struct {
	Place     string // file and line of the row
	Rule      string
	As        string // who acts; empty for the operator
	Action    string
	Key       *tablev1.Key
	Permitted bool
	Message   string // a part of the message of a refusal
	// Directory holds what is replaced in the table's directory; may be nil.
	Directory *directoryv1.Directory
}

// Management returns every action of every row of management.
func (t *Table) Management() []Action {
	var actions []Action
	for i, row := range t.table.GetManagement() {
		for _, action := range row.GetActions() {
			actions = append(actions, Action{
				Place: t.place("management", strconv.Itoa(i)), Rule: row.GetRule(), As: row.GetAs(), Action: action,
				Key: row.GetKey(), Permitted: row.GetExpect() == permitted, Message: row.GetMessage(), Directory: row.GetDirectory(),
			})
		}
	}
	return actions
}

// Rows returns how many rows the table has, of both kinds.
func (t *Table) Rows() int { return len(t.table.GetRows()) + len(t.table.GetManagement()) }

// Host returns the policy's first host: that of requests that name none.
func (t *Table) Host() string {
	if hosts := t.Policy.GetHosts(); len(hosts) > 0 {
		return hosts[0]
	}
	for _, e := range t.Policy.GetEnvironments() {
		if len(e.GetHosts()) > 0 {
			return e.GetHosts()[0]
		}
	}
	return ""
}

func (t *Table) place(path ...string) string {
	line, _, _ := t.source.At(path...)
	return t.File + ":" + strconv.Itoa(line)
}

// parseRequest reads `METHOD /path` or `METHOD https://host/path`. Host and
// path are taken as they are: nothing is decoded or repaired.
func parseRequest(text string) (method, host, path string, ok bool) {
	method, target, found := strings.Cut(text, " ")
	if !found || method == "" || target == "" || strings.Contains(target, " ") {
		return "", "", "", false
	}
	if rest, absolute := strings.CutPrefix(target, "https://"); absolute {
		slash := strings.IndexByte(rest, '/')
		if slash <= 0 {
			return "", "", "", false
		}
		return method, rest[:slash], rest[slash:], true
	}
	return method, "", target, strings.HasPrefix(target, "/")
}
