package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Raw is what JetStream alone does on this machine in the same minute: the
// measure that makes a rate comparable between machines. One replica, file
// storage, the publisher in the server's process, as natter has it.
type Raw struct {
	PayloadBytes int     `json:"payload_bytes"`
	Window       int     `json:"window"`
	Async        RawRate `json:"async"`   // one stream, fsync every 2 minutes: not durable
	Durable      RawRate `json:"durable"` // four streams, fsync before each acknowledgement
	Fsync        Latency `json:"fsync"`   // a payload written and synced on a disk at rest
}

// RawRate is one row of Raw.
type RawRate struct {
	PerSecond float64 `json:"per_second"`
	CPUMicros float64 `json:"cpu_us_per_message"`
}

const (
	rawWindow     = 4096
	rawStreams    = 4
	rawWarmup     = time.Second
	rawStartLimit = 20 * time.Second
)

// MeasureRaw measures all rows, each for about d, in this process.
func MeasureRaw(ctx context.Context, payload int, d time.Duration) (*Raw, error) {
	raw := &Raw{PayloadBytes: payload, Window: rawWindow}
	var err error
	if raw.Async, err = rawRate(ctx, payload, d, 1, false); err != nil {
		return nil, err
	}
	if raw.Durable, err = rawRate(ctx, payload, d, rawStreams, true); err != nil {
		return nil, err
	}
	raw.Fsync, err = measureFsync(ctx, payload, d)
	return raw, err
}

// rawChild runs MeasureRaw in another process of this program, `natter bench
// raw`, so that it neither shares a heap with the load nor leaves one behind.
func rawChild(ctx context.Context, binary string, payload int, d time.Duration, progress io.Writer) (*Raw, error) {
	cmd := exec.CommandContext(ctx, binary, "bench", "raw", "--text-bytes", fmt.Sprint(payload), "--duration", d.String())
	cmd.Stderr = progress
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("raw JetStream rate: %w", err)
	}
	raw := new(Raw)
	if err := json.Unmarshal(out, raw); err != nil {
		return nil, fmt.Errorf("raw JetStream rate: %w", err)
	}
	return raw, nil
}

func rawRate(ctx context.Context, payload int, d time.Duration, streams int, durable bool) (RawRate, error) {
	dir, err := os.MkdirTemp("", "natter-raw-*")
	if err != nil {
		return RawRate{}, err
	}
	defer os.RemoveAll(dir)
	ns, err := server.NewServer(&server.Options{
		ServerName: "raw", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: dir, SyncAlways: durable,
	})
	if err != nil {
		return RawRate{}, err
	}
	ns.Start()
	defer ns.WaitForShutdown()
	defer ns.Shutdown()
	if !ns.ReadyForConnections(rawStartLimit) {
		return RawRate{}, errors.New("the embedded nats-server did not become ready")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return RawRate{}, err
	}
	defer nc.Close()
	return publishRaw(ctx, nc, payload, d, streams)
}

// publishRaw keeps rawWindow publications in flight over the streams and counts
// acknowledgements for d after a warm-up.
func publishRaw(ctx context.Context, nc *nats.Conn, payload int, d time.Duration, streams int) (RawRate, error) {
	var failed atomic.Pointer[error]
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2*rawWindow), jetstream.WithPublishAsyncErrHandler(
		func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.Store(&err) }))
	if err != nil {
		return RawRate{}, err
	}
	for i := range streams {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: fmt.Sprintf("RAW%d", i), Subjects: []string{fmt.Sprintf("raw.%d", i)}, Storage: jetstream.FileStorage, Replicas: 1,
		})
		if err != nil {
			return RawRate{}, err
		}
	}
	var acked atomic.Uint64
	stop := make(chan struct{})
	var work sync.WaitGroup
	for i := range streams {
		window := make(chan jetstream.PubAckFuture, rawWindow/streams)
		work.Go(func() { // one publisher a stream
			defer close(window)
			text := make([]byte, payload)
			for {
				future, err := js.PublishAsync(fmt.Sprintf("raw.%d", i), text)
				if err != nil {
					failed.Store(&err)
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
					failed.Store(&err)
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

func measure(ctx context.Context, d time.Duration, acked *atomic.Uint64) RawRate {
	rest(ctx, rawWarmup)
	count, cpu, at := acked.Load(), ownCPU(), time.Now()
	rest(ctx, d)
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
