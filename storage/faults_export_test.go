package storage

// LimitWatermark makes the watermark short, so that it is compacted soon.
func (db *DB) LimitWatermark(bytes int64) { db.marks.Limit = bytes }
