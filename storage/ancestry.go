package storage

import (
	"errors"

	"google.golang.org/protobuf/proto"

	logv1 "github.com/latchkey/latchkey/proto/latchkey/log/v1"
	"github.com/latchkey/latchkey/storage/boltfile"
	"github.com/latchkey/latchkey/storage/watermark"
)

// seen returns the index of the newest mark whose revision is in the history of
// the store at a path, -1 for none, and whether that is the store's own. Numbers
// don't tell: a copy that went on elsewhere has a lineage that began later than
// marks which it has never seen.
func seen(path string, at Position, marks *watermark.Contents) (last int, own bool, err error) {
	known := make(map[Position]int, len(marks.Marks))
	for i, m := range marks.Marks {
		known[positionFromProto(m.GetPosition())] = i
	}
	if i, ok := known[at]; ok {
		return i, true, nil
	}
	last = -1
	err = walkLog(path, func(p Position) {
		if i, ok := known[p]; ok {
			last = max(last, i)
		}
	})
	return last, false, err
}

// walkLog calls f with the position of each entry in the log of a whole file.
func walkLog(path string, f func(Position)) error {
	return walkPath(path, func(bucket string, name, sealed []byte) error {
		if bucket != string(bucketLog) {
			return boltfile.ErrSkip
		}
		if name == nil {
			return nil
		}
		value, err := unseal(bucketLog, name, sealed)
		if err != nil {
			return err
		}
		var e logv1.Entry
		if err := proto.Unmarshal(value, &e); err != nil {
			return err
		}
		f(position(e.GetEpoch(), e.GetRevision(), e.GetDigest()))
		return nil
	})
}

// tell adds to what is known to have changed since an older store what its
// objects are in this one, if this store came from it. What the watermark has is
// older, unless it is further than this store.
func (img *image) tell(older *image, marks *watermark.Contents, later *watermark.Changes) error {
	if img.path == "" {
		return nil
	}
	descends := false
	err := walkLog(img.path, func(p Position) { descends = descends || p == older.view.position })
	if err != nil || !descends {
		return err
	}
	further := marks != nil && marks.Last() != nil && img.view.position.Before(positionFromProto(marks.Last()))
	if later.Puts == nil {
		later.Puts = map[watermark.Object]*logv1.Put{}
	}
	var errs []error
	add := func(kind logv1.Kind, name string, m proto.Message) {
		o := watermark.Object{Kind: kind, Name: name}
		if _, told := later.Puts[o]; told && further {
			return
		}
		p := &logv1.Put{Kind: kind, Name: name, Removed: m == nil}
		if m != nil {
			value, err := encoding.Marshal(m)
			errs = append(errs, err)
			p.Value = value
		}
		later.Puts[o] = p
	}
	for id := range older.objects.keys {
		if r := img.objects.keys[id]; r != nil {
			add(logv1.Kind_KIND_KEY, id, r.ToProto())
		}
	}
	for id := range older.objects.tenants {
		if t := img.objects.tenants[id]; t != nil {
			add(logv1.Kind_KIND_TENANT, id, t.ToProto())
		} else {
			add(logv1.Kind_KIND_TENANT, id, nil)
		}
	}
	for id := range older.objects.principals {
		if p := img.objects.principals[id]; p != nil {
			add(logv1.Kind_KIND_PRINCIPAL, id, p.ToProto())
		} else {
			add(logv1.Kind_KIND_PRINCIPAL, id, nil)
		}
	}
	return errors.Join(errs...)
}
