package strictyaml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var units = []struct {
	letter byte
	length time.Duration
}{
	{'w', 7 * 24 * time.Hour},
	{'d', 24 * time.Hour},
	{'h', time.Hour},
	{'m', time.Minute},
	{'s', time.Second},
}

var errDuration = errors.New("write whole numbers with the units w, d, h, m and s, such as 90d, 1h30m or 0s")

// ParseDuration reads a length of time as Latchkey writes them: whole numbers,
// each with its unit, of `w d h m s`, the longest first and each at most once,
// such as 90d, 1h30m or 0s. A day is 24 hours. The error says what to write.
func ParseDuration(text string) (time.Duration, error) {
	var total time.Duration
	if text == "" {
		return 0, errDuration
	}
	next := 0 // the longest unit that may still follow
	for rest := text; rest != ""; {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits == len(rest) {
			if strings.HasPrefix(rest, "-") {
				return 0, errors.New("it cannot be negative")
			}
			return 0, errDuration
		}
		unit := next
		for unit < len(units) && units[unit].letter != rest[digits] {
			unit++
		}
		if unit == len(units) {
			return 0, errDuration
		}
		const longest = 100 * 365 * 24 * time.Hour
		var n time.Duration
		for _, c := range []byte(rest[:digits]) {
			n = n*10 + time.Duration(c-'0')
			if n > longest/units[unit].length {
				return 0, errors.New("it cannot be longer than 36500d, a hundred years")
			}
		}
		if total += n * units[unit].length; total > longest {
			return 0, errors.New("it cannot be longer than 36500d, a hundred years")
		}
		rest, next = rest[digits+1:], unit+1
	}
	return total, nil
}

// ParseWithin reads a length of time that is bounded, and returns the other one where there is no text.
func ParseWithin(text string, otherwise, least, most time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	d, err := ParseDuration(text)
	if err == nil && (d < least || d > most) {
		err = fmt.Errorf("it must be from %s to %s", FormatDuration(least), FormatDuration(most))
	}
	if err != nil {
		return 0, err
	}
	return d, nil
}

// FormatDuration writes a length of whole seconds as ParseDuration reads it, without weeks: people count days.
func FormatDuration(d time.Duration) string {
	text := ""
	for _, u := range units[1:] {
		if n := d / u.length; n > 0 {
			text += strconv.FormatInt(int64(n), 10) + string(u.letter)
			d -= n * u.length
		}
	}
	if text == "" {
		return "0s"
	}
	return text
}
