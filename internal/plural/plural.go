// Package plural says how many there are of something: one key, and two keys.
package plural

import "fmt"

// Count is a number of things: 1 key, 2 keys. The thing is one whose plural ends with an s.
func Count[N int | uint32 | uint64](n N, one string) string {
	return fmt.Sprintf("%d %s", n, Pick(n, one, one+"s"))
}

// Pick returns the word that goes with a number: for one, or for any other.
func Pick[N int | uint32 | uint64](n N, one, others string) string {
	if n == 1 {
		return one
	}
	return others
}
