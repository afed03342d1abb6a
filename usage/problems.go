package usage

import "fmt"

// Problems returns what is wrong now with writing usage down and with reporting it, for people. It is safe for concurrent
// use.
func (k *Keeper) Problems() []string {
	var all []string
	if err := k.unwritten.Load(); err != nil {
		all = append(all, fmt.Sprintf("usage can't be written down, and is kept in memory as far as there is room: %v", *err))
	}
	if err := k.unsent.Load(); err != nil {
		all = append(all, fmt.Sprintf("usage can't be reported to a hub, and waits in the file: %v", *err))
	}
	return all
}
