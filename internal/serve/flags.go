package serve

import (
	"fmt"
	"slices"
)

// DefaultHTTP is where a process serves metrics, profiles and health unless it is told.
const DefaultHTTP = "127.0.0.1:9902"

// places say of flags that name a place what they name.
var places = map[string]string{
	"client-config": "a file", "config": "a file", "file": "a file", "token-file": "a file",
	"tls-ca": "a file", "tls-certificate": "a file", "tls-key": "a file",
	"data": "a folder", "policy": "a file or a folder",
	"admin": "an address", "http": "an address", "hub": "an address", "hub-listen": "an address", "listen": "an address",
}

// CheckPlace returns an error where a flag that names files, folders or addresses is given with an empty one, as by a script
// whose variable isn't set: it must not mean the same as leaving the flag out.
func CheckPlace(flag string, given ...string) error {
	if what := places[flag]; what != "" && slices.Contains(given, "") {
		return fmt.Errorf("--%s is given and empty: name %s, or leave the flag out", flag, what)
	}
	return nil
}
