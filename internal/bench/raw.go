package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"natter/internal/harness/process"
)

// Raw is what JetStream alone does on this machine in the same minute: the
// measure that makes a rate comparable between machines. File storage, the
// publisher in the server's process, as natter has it. Of one node the rows are of
// one server, of a cluster of three servers and three replicas; the others are 0.
type Raw struct {
	PayloadBytes int     `json:"payload_bytes"`
	Window       int     `json:"window"`
	Async        RawRate `json:"async,omitzero"`   // one stream, fsync every 2 minutes: not durable
	Durable      RawRate `json:"durable,omitzero"` // four streams, fsync before each acknowledgement
	// Fsync on two of three before each acknowledgement: one stream, and four.
	Replicated        RawRate `json:"replicated,omitzero"`
	ReplicatedStreams RawRate `json:"replicated_streams,omitzero"`
	Fsync             Latency `json:"fsync"` // a payload written and synced on a disk at rest
}

// durable is the best that these servers do durably.
func (r *Raw) durable() float64 {
	return max(r.Durable.PerSecond, r.Replicated.PerSecond, r.ReplicatedStreams.PerSecond)
}

// RawRate is one row of Raw.
type RawRate struct {
	PerSecond float64 `json:"per_second"`
	CPUMicros float64 `json:"cpu_us_per_message"`
}

const (
	rawWindow  = 4096
	rawStreams = 4
	rawWarmup  = time.Second
	// rawPatience is how long the first acknowledgement may take.
	rawPatience = 20 * time.Second
)

// MeasureRaw measures all rows of so many nodes, 1 or 3, each for about d, in this
// process.
func MeasureRaw(ctx context.Context, nodes, payload int, d time.Duration) (*Raw, error) {
	if err := validNodes(nodes); err != nil {
		return nil, err
	}
	raw := &Raw{PayloadBytes: payload, Window: rawWindow}
	type row struct {
		to      *RawRate
		streams int
		durable bool
	}
	rows := []row{{&raw.Async, 1, false}, {&raw.Durable, rawStreams, true}}
	if nodes > 1 {
		rows = []row{{&raw.Replicated, 1, true}, {&raw.ReplicatedStreams, rawStreams, true}}
	}
	for _, r := range rows {
		var err error
		if *r.to, err = rawRate(ctx, nodes, payload, d, r.streams, r.durable); err != nil {
			return nil, err
		}
	}
	var err error
	raw.Fsync, err = measureFsync(ctx, payload, d)
	return raw, err
}

// rawChild runs MeasureRaw in another process of this program, `natter bench
// raw`, so that it neither shares a heap with the load nor leaves one behind. It
// writes into a directory of this one, which is removed however it ends.
func rawChild(ctx context.Context, binary string, nodes, payload int, d time.Duration, progress io.Writer) (*Raw, error) {
	dir, remove, err := process.MakeData("natter-bench-raw-*")
	if err != nil {
		return nil, err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, binary, "bench", "raw", "--nodes", fmt.Sprint(nodes), "--text-bytes", fmt.Sprint(payload), "--duration", d.String())
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Stderr = progress
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := process.Run(cmd); err != nil {
		return nil, fmt.Errorf("raw JetStream rate: %w", err)
	}
	raw := new(Raw)
	if err := json.Unmarshal(out.Bytes(), raw); err != nil {
		return nil, fmt.Errorf("raw JetStream rate: %w", err)
	}
	return raw, nil
}

func rawRate(ctx context.Context, nodes, payload int, d time.Duration, streams int, durable bool) (_ RawRate, err error) {
	dir, err := os.MkdirTemp("", "natter-raw-*")
	if err != nil {
		return RawRate{}, err
	}
	defer os.RemoveAll(dir)
	servers, err := startRaw(ctx, dir, nodes, durable)
	defer servers.stop()
	if err != nil {
		return RawRate{}, err
	}
	return servers.publish(ctx, payload, d, streams)
}

// publish keeps rawWindow publications in flight over the streams and counts
// acknowledgements for d after a warm-up.
func (s *rawServers) publish(ctx context.Context, payload int, d time.Duration, streams int) (RawRate, error) {
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	leaders := make([]jetstream.JetStream, streams)
	for i := range leaders {
		var err error
		if leaders[i], err = s.create(ctx, i, fail); err != nil {
			return RawRate{}, err
		}
	}
	var acked atomic.Uint64
	stop := make(chan struct{})
	var work sync.WaitGroup
	for i, js := range leaders {
		window := make(chan jetstream.PubAckFuture, rawWindow/streams)
		work.Go(func() { // one publisher a stream
			defer close(window)
			text := make([]byte, payload)
			for {
				future, err := js.PublishAsync(rawSubject(i), text)
				if err != nil {
					fail(err)
					return
				}
				select {
				case window <- future: // full: the oldest must be answered first
				case <-stop:
					return
				}
			}
		})
		work.Go(func() { // and one that counts its answers, in order
			for future := range window {
				select {
				case <-future.Ok():
					acked.Add(1)
				case err := <-future.Err():
					fail(err)
				}
			}
		})
	}
	rate := measure(ctx, d, &acked)
	close(stop)
	work.Wait()
	if err := failed.Load(); err != nil {
		return RawRate{}, fmt.Errorf("raw publish: %w", *err)
	}
	return rate, ctx.Err()
}

// measure counts for d, and on until there was something to count: a disk that other
// programs use may stand still for longer than d.
func measure(ctx context.Context, d time.Duration, acked *atomic.Uint64) RawRate {
	rest(ctx, rawWarmup)
	count, cpu, at := acked.Load(), ownCPU(), time.Now()
	rest(ctx, d)
	for acked.Load() == count && time.Since(at) < rawPatience && ctx.Err() == nil {
		rest(ctx, d)
	}
	n := float64(acked.Load() - count)
	spent, took := ownCPU()-cpu, time.Since(at)
	return RawRate{PerSecond: n / took.Seconds(), CPUMicros: float64(spent.Microseconds()) / max(n, 1)}
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
