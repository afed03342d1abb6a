package serve

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := Seldom(NewLog(&out, slog.LevelInfo))
		for range 5 {
			log.Warn("refused", "address", "a")
			log.With("address", "b").Warn("refused")
			slog.NewLogLogger(log.Handler(), slog.LevelWarn).Print("refused")
		}
		if got := strings.Count(out.String(), "\n"); got != 1 || !strings.Contains(out.String(), `"address":"a","times":1}`) {
			t.Errorf("%d lines at once:\n%s", got, out.String())
		}
		time.Sleep(toldEvery)
		log.Warn("refused", "address", "c")
		if got := strings.Count(out.String(), "\n"); got != 2 || !strings.Contains(out.String(), `"address":"c","times":15}`) {
			t.Errorf("%d lines after %s:\n%s", got, toldEvery, out.String())
		}
	})
}
