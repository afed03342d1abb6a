package ledgertest_test

import (
	"testing"

	"github.com/latchkey/latchkey/admin"
	"github.com/latchkey/latchkey/admin/ledgertest"
	"github.com/latchkey/latchkey/storage"
	"github.com/latchkey/latchkey/storage/storagetest"
)

func TestStore(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T) admin.Ledger {
		return storagetest.New(t, storage.Options{Compile: ledgertest.Compiler})
	})
}
