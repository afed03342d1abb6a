package observe

import (
	"log/slog"
	"testing"

	"github.com/latchkey/latchkey/internal/serve"
	configv1 "github.com/latchkey/latchkey/proto/latchkey/config/v1"
)

// TestNothingIsThereUnlessItIsAskedFor: no observer, no handler of calls, nothing that runs and no metric.
func TestNothingIsThereUnlessItIsAskedFor(t *testing.T) {
	o, err := Configured(&configv1.Serve{}, "", &configv1.Serve{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Open(t.Context(), o, Process{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	all.AddTo(&serve.Group{})
	if len(all.Observers())+len(all.ServerOptions())+len(all.Collectors())+len(all.parts) != 0 {
		t.Errorf("there is %+v", all)
	}
}
