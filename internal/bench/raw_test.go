package bench

import (
	"context"
	"testing"
	"time"
)

// TestRaw: every row comes out.
func TestRaw(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	raw, err := MeasureRaw(ctx, 300, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if raw.Async.PerSecond <= 0 || raw.Durable.PerSecond <= 0 || raw.Fsync.Count == 0 || raw.Fsync.P50 <= 0 {
		t.Fatalf("a row is missing: %+v", raw)
	}
}
