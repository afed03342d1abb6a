package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a terminal: where a person sits, and
// where a command does.
func openTerminal(t *testing.T) (person, command *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	command, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Close() })
	return person, command
}

// At a terminal people are asked, and see colours; what they decline isn't done.
func TestPeopleAreAsked(t *testing.T) {
	dir := t.TempDir()
	h := startHub(t, filepath.Join(dir, "data"))
	h.latchkey("keys", "create", "--policy", "kodey", "--type", "secret", "--tenant", "team:t_1")
	policy, err := os.ReadFile("../../examples/kodey/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(policy), "/v1/chat", "/v1/chats", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	// ask runs a command at a terminal, answers its question, and returns what was on the screen.
	ask := func(args []string, question, answer string) (screen string, code int) {
		t.Helper()
		person, terminal := openTerminal(t)
		cmd := h.command(args...)
		cmd.Env = append(cmd.Env, "TERM=xterm", "NO_COLOR=", "CLICOLOR_FORCE=")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = terminal.Close()
		r := bufio.NewReader(person)
		for !strings.Contains(screen, question+" [y/N] ") {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("%v: nobody was asked %q:\n%s", args, question, screen)
			}
			screen += string(b)
		}
		if _, err := person.WriteString(answer + "\n"); err != nil {
			t.Fatal(err)
		}
		for {
			b, err := r.ReadByte()
			if err != nil { // the other end is closed
				break
			}
			screen += string(b)
		}
		_ = cmd.Wait()
		return screen, cmd.ProcessState.ExitCode()
	}
	revoke := []string{"keys", "revoke", "--tenant", "team:t_1"}
	for _, answer := range []string{"", "n", "yess"} {
		if screen, code := ask(revoke, "Revoke 1 key for good?", answer); code != exitFailed || !strings.Contains(screen, "nothing was changed") {
			t.Errorf("%q: exit code %d:\n%s", answer, code, screen)
		}
	}
	version := h.status().GetPolicies()[0].GetVersion()
	apply := []string{"policy", "apply", changed}
	screen, code := ask(apply, "Put it in use?", "no")
	if code != exitFailed || h.status().GetPolicies()[0].GetVersion() != version || !strings.Contains(screen, "of 1 live key 1 gains and 1 loses access") {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	if !strings.Contains(screen, green+"+ ") || !strings.Contains(screen, red+"- ") {
		t.Errorf("a difference has no colours:\n%q", screen)
	}
	if screen, code := ask(apply, "Put it in use?", "y"); code != exitDone || h.status().GetPolicies()[0].GetVersion() == version {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	if screen, code := ask(revoke, "Revoke 1 key for good?", "Yes"); code != exitDone || !strings.Contains(screen, red+"revoked") {
		t.Errorf("exit code %d:\n%q", code, screen)
	}
}
