package boltfile

// countElsewhere is the count of a list of free pages that is too long to be
// counted in the page's header: its first entry is its length.
const countElsewhere = 1<<16 - 1

// freelist checks the list of free pages, once all trees have been walked. A
// page that is free and in use would be written over by the next commit, and a
// page that is neither says that the list or a tree has lost something.
func (w *walker) freelist() error {
	p, err := w.read(w.f.meta.Freelist, 0)
	if err != nil {
		return err
	}
	w.stats.Reachable = w.seen.count
	if p.kind != freelistPage {
		return damaged(p.id, "has type %#x, not that of a list of free pages", p.kind)
	}
	ids := p.data[headerSize:]
	count := uint64(p.count)
	if count == countElsewhere {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if room := uint64(len(ids)) / 8; count > room {
		return damaged(p.id, "says it lists %d pages, and has room for %d", count, room)
	}
	last := uint64(1)
	for i := range count {
		id := order.Uint64(ids[8*i:])
		switch {
		case id <= last:
			return damaged(p.id, "lists free page %d out of order", id)
		case id >= w.f.meta.Pages:
			return damaged(p.id, "lists free page %d, where pages go from 2 to %d", id, w.f.meta.Pages-1)
		case !w.seen.add(id):
			return damaged(p.id, "lists page %d as free, which is in use", id)
		}
		last = id
	}
	if lost := w.f.meta.Pages - w.seen.count; lost > 0 && !w.skipped {
		return damaged(p.id, "%d pages are neither in use nor listed as free", lost)
	}
	return nil
}
