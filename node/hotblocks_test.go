package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"natter/internal/harness"
	"natter/jetstream"
)

// A block of history that was written and is read all the time would stay in nats-server's
// memory.
func TestFullBlocksOfHistoryAreLetGo(t *testing.T) {
	n := start(t, settings(t, filepath.Join(t.TempDir(), "data")))
	stream := jetstream.HistoryStream(0)
	const size, blocks = 64 << 10, 10
	each := 4<<20/size + 1 // of a block
	conn, err := n.nats.connect("a test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	one := func(i int) {
		body := fmt.Sprintf(`{"last_by_subj":"msg.0.r%d"}`, i)
		if reply, err := conn.Request("$JS.API.DIRECT.GET."+stream, []byte(body), 5*time.Second); err != nil || len(reply.Data) != size {
			t.Fatalf("an entry can't be read: %v", err)
		}
	}
	for i := range blocks * each {
		reply, err := conn.Request(fmt.Sprintf("msg.0.r%d", i), make([]byte, size), 5*time.Second)
		var ack struct {
			Seq uint64 `json:"seq"`
			Err any    `json:"error"`
		}
		if err == nil {
			err = json.Unmarshal(reply.Data, &ack)
		}
		if err != nil || ack.Err != nil {
			t.Fatalf("entry %d: %v, %v", i, err, ack.Err)
		}
		one(i)
	}
	read := func() {
		for i := each / 2; i < blocks*each; i += each / 2 {
			one(i)
		}
	}
	live := func() int {
		for range 3 { // a buffer lives for two collections more
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}

	before := live()
	harness.WaitUpTo(t, time.Minute, "full blocks let go while they are read", func() bool {
		read()
		return before-live() > (blocks/2)*(4<<20)
	})
	read()
}

func TestWhichBlocksAreLetGo(t *testing.T) {
	dir := t.TempDir()
	msgs := filepath.Join(dir, "HISTORY-0", "msgs")
	if err := os.MkdirAll(msgs, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(index int, first uint64) {
		t.Helper()
		head := make([]byte, 64)
		binary.LittleEndian.PutUint64(head[4:], first)
		if err := os.WriteFile(filepath.Join(msgs, strconv.Itoa(index)+".blk"), head, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var firsts []uint64
	failing := errors.New("busy")
	var fail error
	readBack := func(_ context.Context, stream string, first uint64) error {
		if stream != "HISTORY-0" {
			t.Errorf("asked for %s", stream)
		}
		firsts = append(firsts, first)
		return fail
	}
	write(1, 1)
	write(2, 101)
	h := newHotBlocks(dir, []string{"HISTORY-0", "HISTORY-1"}, readBack)
	look := func(after time.Duration, want ...uint64) {
		t.Helper()
		firsts = nil
		err := h.look(t.Context(), "HISTORY-0", time.Now().Add(after))
		if !errors.Is(err, fail) || !slices.Equal(firsts, want) {
			t.Errorf("read back %v, want %v; %v", firsts, want, err)
		}
	}
	look(time.Hour) // 1 was full at the start, 2 isn't full
	write(3, 201)
	look(0) // just written
	look(time.Hour, 101)
	write(4, 1<<63|301) // its first is erased
	write(5, 401)
	look(time.Hour, 101, 201, 301)
	look(time.Hour, 101, 201, 301)
	fail = failing
	look(time.Hour, 201)
	fail = nil
	look(time.Hour, 201, 301)
	if err := os.Remove(filepath.Join(msgs, "4.blk")); err != nil {
		t.Fatal(err)
	}
	write(6, 501)
	look(time.Hour, 401)
	look(time.Hour, 401)
	look(time.Hour, 401)
	look(time.Hour)
	if len(h.tries) > 0 || h.done["HISTORY-0"] != 5 {
		t.Errorf("done up to %d, tried %v", h.done["HISTORY-0"], h.tries)
	}
	if err := h.look(t.Context(), "HISTORY-1", time.Now()); err != nil {
		t.Errorf("a stream that isn't here: %v", err)
	}
}
