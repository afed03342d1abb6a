package watermark

import (
	"os"

	"google.golang.org/protobuf/proto"

	keyv1 "github.com/latchkey/latchkey/proto/latchkey/key/v1"
	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
)

// Contents is what a file holds.
type Contents struct {
	// Marks are the marks that are whole, oldest first, with rising positions. The first is the base. With Damage any may be
	// missing, the base too; only then can there be none.
	Marks []*logv1.Mark
	// Damage is the first thing that is wrong before the last whole mark, or why there is no mark, with the offset of its
	// byte; nil if all of that is whole.
	Damage error
	// Torn is whether after the last whole mark there are bytes that are neither a mark nor zeros: an append that was cut
	// off, or damage to what was the last mark. In both cases the store went beyond Last.
	Torn bool

	salt salt
	ends []int64 // where each of Marks ends
	end  int64   // where the last whole mark ends
	size int64
	info os.FileInfo
}

// Last returns the position of the newest mark; nil if there is none.
func (c *Contents) Last() *logv1.Position {
	if len(c.Marks) == 0 {
		return nil
	}
	return c.Marks[len(c.Marks)-1].GetPosition()
}

// Object names a stored object.
type Object struct {
	Kind logv1.Kind
	Name string
}

// Changes is what a range of marks changed.
type Changes struct {
	// Puts has the newest put of each object.
	Puts map[Object]*logv1.Put
	// Revoked has the ids of the keys that were revoked or removed, or whose state can't be read.
	Revoked map[string]struct{}
}

// After returns what the marks after Marks[i] changed: what a store at that position doesn't know. With -1 it is all that the
// file knows, the revocations of the base included.
func (c *Contents) After(i int) Changes {
	changes := Changes{Puts: map[Object]*logv1.Put{}, Revoked: map[string]struct{}{}}
	for _, m := range c.Marks[i+1:] {
		for _, id := range m.GetRevoked() {
			changes.Revoked[id] = struct{}{}
		}
		for _, put := range m.GetPuts() {
			changes.Puts[Object{put.GetKind(), put.GetName()}] = put
			if revokes(put) {
				changes.Revoked[put.GetName()] = struct{}{}
			}
		}
	}
	return changes
}

// revokes reports whether after a put a key is to be denied for ever. What can't be read is denied.
func revokes(put *logv1.Put) bool {
	if put.GetKind() != logv1.Kind_KIND_KEY {
		return false
	}
	var r keyv1.Record
	return put.GetRemoved() || proto.Unmarshal(put.GetValue(), &r) != nil || r.GetRevoked() != nil
}
