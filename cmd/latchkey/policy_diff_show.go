package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/latchkey/latchkey/internal/plural"
	"github.com/latchkey/latchkey/internal/strictyaml"
	adminv1 "github.com/latchkey/latchkey/proto/latchkey/admin/v1"
)

// differenceTable tells how two policies differ: first what becomes of keys,
// then what else there is.
func differenceTable(t *tabwriter.Writer, d *adminv1.PolicyDifference) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) } // Flush returns the error
	switch {
	case d.GetOld() == "":
		say("policy %s is new", d.GetNew())
		return
	case d.GetOldVersion() == d.GetNewVersion():
		say("no difference")
		return
	}
	say("policy %s, %s → %s", d.GetNew(), shortVersion(d.GetOldVersion()), shortVersion(d.GetNewVersion()))
	if len(d.GetTypes()) == 0 {
		say("No key gains or loses a route.")
	}
	for _, one := range d.GetTypes() {
		say("\n%s", typeLine(one, d.GetCounted()))
		for _, a := range one.GetAccess() {
			if who := holderOf(a); who != "" {
				say("  %s", who)
			}
			routeLines(say, "+", a.GetGained())
			routeLines(say, "-", a.GetLost())
			routeLines(say, "~", a.GetChanged())
		}
	}
	if len(d.GetDocument()) > 0 {
		say("\nin the document")
	}
	for _, one := range d.GetDocument() {
		say("  %s", strictyaml.Printable(one.GetPlace()))
		for _, text := range one.GetOld() {
			say("    - %s", strictyaml.Printable(text))
		}
		for _, text := range one.GetNew() {
			say("    + %s", strictyaml.Printable(text))
		}
	}
}

// typeLine names a type, and how many of its live keys it is about.
func typeLine(one *adminv1.TypeDifference, counted bool) string {
	if !counted {
		return "key type " + one.GetType()
	}
	return fmt.Sprintf("key type %s: of %s %d %s and %d %s access", one.GetType(), plural.Count(one.GetKeys(), "live key"),
		one.GetKeysGaining(), plural.Pick(one.GetKeysGaining(), "gains", "gain"), one.GetKeysLosing(), plural.Pick(one.GetKeysLosing(), "loses", "lose"))
}

// holderOf is what access hangs on.
func holderOf(a *adminv1.AccessDifference) string {
	switch {
	case a.GetRole() != "":
		return "with the role " + a.GetRole()
	case len(a.GetScopes()) > 0:
		return "with " + strings.Join(a.GetScopes(), " and ")
	}
	return ""
}

func routeLines(say func(string, ...any), sign string, routes []*adminv1.RouteDifference) {
	for _, r := range routes {
		text := fmt.Sprintf("    %s %s %s (%s", sign, r.GetMethod(), r.GetPath(), r.GetEndpoint())
		switch {
		case len(r.GetPermissions()) > 0:
			text += ", with " + strings.Join(r.GetPermissions(), ", ")
		case sign == "~":
			text += ", without permissions"
		}
		say("%s", strictyaml.Printable(text+")"))
	}
}
