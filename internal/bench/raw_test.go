package bench

import (
	"context"
	"testing"
	"time"
)

// TestRaw: both rows come out, and durable is the slower one. A busy machine may
// turn that round for the second that one row takes; three times it doesn't.
func TestRaw(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for try := 1; ; try++ {
		raw, err := MeasureRaw(ctx, 300, 1500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", raw)
		if raw.Durable.PerSecond > 0 && raw.Async.PerSecond > raw.Durable.PerSecond {
			return
		}
		if try == 3 {
			t.Fatalf("%+v", raw)
		}
	}
}
