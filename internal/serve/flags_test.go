package serve

import "testing"

func TestCheckPlace(t *testing.T) {
	for _, tc := range []struct {
		flag  string
		given []string
		says  string
	}{
		{"data", []string{"x"}, ""},
		{"hub", nil, ""},
		{"log-level", []string{""}, ""}, // no place: who reads it says what it may be
		{"data", []string{""}, "--data is given and empty: name a folder, or leave the flag out"},
		{"hub", []string{"unix:a", ""}, "--hub is given and empty: name an address, or leave the flag out"},
	} {
		said := ""
		if err := CheckPlace(tc.flag, tc.given...); err != nil {
			said = err.Error()
		}
		if said != tc.says {
			t.Errorf("--%s %q: %q; want %q", tc.flag, tc.given, said, tc.says)
		}
	}
}
