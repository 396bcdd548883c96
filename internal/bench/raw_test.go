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
	raw, err := MeasureRaw(ctx, 1, 300, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if raw.Async.PerSecond <= 0 || raw.Durable.PerSecond <= 0 || raw.Fsync.Count == 0 || raw.Fsync.P50 <= 0 {
		t.Fatalf("a row is missing: %+v", raw)
	}
	if raw.Replicated.PerSecond != 0 || raw.durable() != raw.Durable.PerSecond {
		t.Errorf("of one server: %+v", raw)
	}
}

// TestRawReplicated: of a cluster, the rows of three servers come out and no other.
func TestRawReplicated(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	raw, err := MeasureRaw(ctx, 3, 300, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if raw.Replicated.PerSecond <= 0 || raw.ReplicatedStreams.PerSecond <= 0 || raw.Fsync.Count == 0 || raw.Async.PerSecond != 0 || raw.Durable.PerSecond != 0 {
		t.Fatalf("not its rows: %+v", raw)
	}
	if raw.durable() != max(raw.Replicated.PerSecond, raw.ReplicatedStreams.PerSecond) {
		t.Errorf("the better isn't %.0f: %+v", raw.durable(), raw)
	}
	if _, err := MeasureRaw(ctx, 2, 300, time.Second); err == nil {
		t.Error("two servers are measured")
	}
}
