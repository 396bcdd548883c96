package bench

import (
	"context"
	"testing"
	"time"
)

// TestRaw: both rows come out, and durable is the slower one.
func TestRaw(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	raw, err := MeasureRaw(ctx, 300, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", raw)
	if raw.Durable.PerSecond <= 0 || raw.Async.PerSecond <= raw.Durable.PerSecond {
		t.Errorf("%+v", raw)
	}
}
