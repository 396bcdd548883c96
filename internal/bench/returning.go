package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"natter/chat"
	"natter/client"
	"natter/internal/harness/process"
)

// Devices that come back beside others are in a process of their own, `natter bench
// return`: reading a thousand messages keeps a processor busy for 10 ms, and in one process
// others' acknowledgements would wait for that. They share the machine, no more.

// returner is a device that was away.
type returner struct {
	URL    string      `json:"url"`
	Token  string      `json:"token,omitempty"`
	Cursor string      `json:"cursor"`
	Room   chat.RoomID `json:"room"`
}

// returning is what the process is told on its standard input. The input's end stops it.
type returning struct {
	Devices []returner    `json:"devices"`
	Missed  int           `json:"missed"`
	Again   bool          `json:"again"`  // each again and again; otherwise once
	Within  time.Duration `json:"within"` // not Again: at even distances within this
}

// returned is what it tells on its standard output.
type returned struct {
	Latency
	Seconds float64  `json:"seconds"`
	Wrong   []string `json:"wrong,omitempty"`
}

// wrongCatchUp says that a device wasn't told what it missed, once and in order.
type wrongCatchUp struct{ missed, told, disorder int }

func (e *wrongCatchUp) Error() string {
	return fmt.Sprintf("a device that missed %d messages was told %d when it was synced, %d out of order", e.missed, e.told, e.disorder)
}

// comeBack connects at the cursor, times it from hello to synced, and checks that it was
// told everything it missed, once and in order; a wrongCatchUp if not.
func (r *returner) comeBack(ctx context.Context, token func(context.Context) (string, error), missed int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, comeBackLimit)
	defer cancel()
	var hello time.Time // these are the device's goroutine's until Close
	var took time.Duration
	var last chat.Seq
	told, disorder := 0, 0
	d := client.Dial(ctx, client.Options{
		URLs: []string{r.URL}, Token: token, Cursor: r.Cursor, Name: "natter bench",
		Event: func(e *client.Event) {
			if e.Type != chat.EventMessage || string(e.Message.Room) != string(r.Room) || took > 0 {
				return
			}
			if told++; last != 0 && e.Message.Seq != last+1 {
				disorder++
			}
			last = e.Message.Seq
		},
		State: func(s client.State, _ error) {
			switch {
			case s == client.Greeting:
				hello = time.Now()
			case s == client.Live && took == 0:
				took = time.Since(hello)
			}
		},
	})
	err := d.WaitLive(ctx)
	d.Close()
	if err != nil {
		return 0, fmt.Errorf("coming back: %w", err)
	}
	if told != missed || disorder > 0 {
		return took, &wrongCatchUp{missed, told, disorder}
	}
	return took, nil
}

// Return is the other process: it reads what to do from in, and tells out how it went.
func Return(ctx context.Context, in io.Reader, out io.Writer) error {
	var r returning
	input := json.NewDecoder(in)
	if err := input.Decode(&r); err != nil {
		return fmt.Errorf("what to do: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop.Store(true)
	}()
	var work sync.WaitGroup
	var h histogram
	var result returned
	var mu sync.Mutex
	var failed []error
	began := time.Now()
	for i := range r.Devices {
		d := &r.Devices[i]
		work.Go(func() {
			if !r.Again {
				rest(ctx, r.Within*time.Duration(i)/time.Duration(len(r.Devices)))
			}
			for first := true; first || r.Again && !stop.Load(); first = false {
				took, err := d.comeBack(ctx, func(context.Context) (string, error) { return d.Token, nil }, r.Missed)
				var wrong *wrongCatchUp
				if err == nil || errors.As(err, &wrong) {
					h.record(took)
				}
				if err == nil {
					continue
				}
				mu.Lock()
				defer mu.Unlock()
				if wrong != nil {
					result.Wrong = append(result.Wrong, err.Error())
				} else {
					failed = append(failed, err)
				}
				return
			}
		})
	}
	work.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	result.Latency, result.Seconds = h.latency(), time.Since(began).Seconds()
	return json.NewEncoder(out).Encode(&result)
}

// returningChild is the other process, seen from here.
type returningChild struct {
	input io.WriteCloser
	out   bytes.Buffer
	ended chan error
}

func (w *world) startReturning(ctx context.Context, devices []*away, again bool) (*returningChild, error) {
	r := returning{Missed: w.config.Missed, Again: again, Within: w.config.Duration}
	for _, d := range devices {
		token, err := d.person.account.Token(ctx)
		if err != nil {
			return nil, err
		}
		r.Devices = append(r.Devices, returner{URL: d.person.account.Base(), Token: token, Cursor: d.cursor, Room: d.room})
	}
	child := &returningChild{ended: make(chan error, 1)}
	cmd := exec.CommandContext(ctx, w.config.Binary, "bench", "return")
	cmd.Stdout, cmd.Stderr = &child.out, w.config.Progress
	var err error
	if child.input, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	go func() { child.ended <- process.Run(cmd) }()
	if err := json.NewEncoder(child.input).Encode(&r); err != nil {
		return nil, errors.Join(err, <-child.ended)
	}
	return child, nil
}

// stop ends the process in order and returns what it told.
func (c *returningChild) stop() (*returned, error) {
	_ = c.input.Close() // it may have ended by itself
	if err := <-c.ended; err != nil {
		return nil, fmt.Errorf("devices that come back: %w", err)
	}
	r := new(returned)
	if err := json.Unmarshal(c.out.Bytes(), r); err != nil {
		return nil, fmt.Errorf("devices that come back: %w", err)
	}
	return r, nil
}
