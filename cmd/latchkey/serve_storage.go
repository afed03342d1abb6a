package main

import (
	"errors"
	"log/slog"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/storage"
)

// openStore opens the store of a configuration, and tells what it found.
func openStore(config *serveConfig, log *slog.Logger) (*storage.DB, error) {
	db, err := openNewest(config, log)
	if err != nil {
		return nil, err
	}
	if gap := db.Gap(); gap != nil {
		log.Warn("an older part of the watermark is damaged: it began anew, and a restore of a backup from before now knows of revocations alone: make a backup", "error", gap)
	}
	return db, nil
}

// openNewest opens the store, and accepts one that isn't the newest if it is told to.
func openNewest(config *serveConfig, log *slog.Logger) (*storage.DB, error) {
	o := storageOptions(&admin.Compiler{})
	db, err := storage.Open(config.data, o)
	older := errors.Is(err, storage.ErrRollback) || errors.Is(err, storage.ErrUnproven)
	switch {
	case !config.acceptRollback:
		return db, err
	case err == nil:
		log.Warn("--accept-rollback was given, and nothing had to be accepted: leave it out from now on")
		return db, nil
	case !older:
		return nil, err
	}
	log.Warn("the store isn't known to be the newest, and --accept-rollback says to go on from it: later writes are given up", "data", config.data, "error", err)
	o.AcceptRollback = true
	if db, err = storage.Open(config.data, o); err != nil {
		return nil, err
	}
	for _, w := range db.Withdrawn() {
		log.Warn("withdrawn again", "kind", w.Kind, "name", w.Name, "what", w.What)
	}
	return db, nil
}
