package main

import (
	"bytes"
	"io"
	"os"
	"regexp"

	"github.com/spf13/cobra"
)

// addColor gives a command, and all below it, the flag --color.
func addColor(root *cobra.Command) {
	var when string
	root.PersistentFlags().StringVar(&when, "color", "auto", "auto, always or never: colours on a terminal; NO_COLOR and CLICOLOR_FORCE change what auto means")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		switch when {
		case "auto", "always", "never":
		default:
			return usagef("the value of --color is wrong: write auto, always or never")
		}
		if out := cmd.OutOrStdout(); colored(when, isTerminal(out)) {
			cmd.SetOut(&painter{out})
		}
		return nil
	}
}

// colored reports whether what is printed has colours (no-color.org, bixense.com/clicolors).
func colored(when string, terminal bool) bool {
	switch {
	case when != "auto":
		return when == "always"
	case os.Getenv("NO_COLOR") != "":
		return false
	case os.Getenv("CLICOLOR_FORCE") != "" && os.Getenv("CLICOLOR_FORCE") != "0":
		return true
	}
	return terminal && os.Getenv("TERM") != "dumb"
}

// painter is where tables are printed in colour. What is written to it
// directly, such as JSON, has none.
type painter struct{ io.Writer }

const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	plainC = "\x1b[0m"
)

// paints say what of a printed table has which colour. Tables are laid out
// before, so that colours take no room.
var paints = []struct {
	words *regexp.Regexp
	color string
}{
	{regexp.MustCompile(`(?m)(^|  )(active)(?:$|  )`), green},
	{regexp.MustCompile(`(?m)(^|  )(retiring|disabled)(?:$|  )`), yellow},
	{regexp.MustCompile(`(?m)(^|  )(expired|revoked)(?:$|  )`), red},
	{regexp.MustCompile(`(?m)^()(✓|allowed\b)`), green},
	{regexp.MustCompile(`(?m)^()(✗|denied\b)`), red},
	{regexp.MustCompile(`(?m)^( *)(\+ \S.*)$`), green},
	{regexp.MustCompile(`(?m)^( *)(- \S.*)$`), red},
	{regexp.MustCompile(`(?m)^( *)(~ \S.*)$`), yellow},
}

// paint returns a printed table in colour.
func paint(text []byte) []byte {
	for _, p := range paints {
		var out []byte
		last := 0
		for _, m := range p.words.FindAllSubmatchIndex(text, -1) {
			out = append(append(append(append(out, text[last:m[4]]...), p.color...), text[m[4]:m[5]]...), plainC...)
			last = m[5]
		}
		text = append(out, text[last:]...)
	}
	return text
}

// table lays a table out and paints it.
func (p *painter) table(write func(io.Writer) error) error {
	var laidOut bytes.Buffer
	if err := write(&laidOut); err != nil {
		return err
	}
	_, err := p.Write(paint(laidOut.Bytes()))
	return err
}
