package jetstream

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"natter/chat"
)

// copyStore copies a running store's files as a crash could leave them: the
// projections first, so that they lag behind the log, never the other way.
func copyStore(t *testing.T, from, to string) {
	t.Helper()
	pass := func(want func(path string) bool) {
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !want(path) {
				if os.IsNotExist(err) {
					return nil // a block that was rotated meanwhile
				}
				return err
			}
			data, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			target := filepath.Join(to, strings.TrimPrefix(path, from))
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				return err
			}
			return os.WriteFile(target, data, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	isLog := func(path string) bool {
		return strings.Contains(path, streamLog) || strings.Contains(path, streamRecords)
	}
	pass(func(path string) bool { return !isLog(path) })
	pass(isLog)
}

// Eight people send without pause; three times the store is copied under load,
// as a crash would leave it, and opened. Everything acknowledged before the copy
// must be in history and in every queue, once, in order.
func TestDurableBeforeAck(t *testing.T) {
	h := open(t)
	people := []chat.UserID{"a", "b", "c", "d", "e", "f", "g", "h"}
	const room = chat.RoomID("gall")
	h.do(chat.Command{Op: chat.OpCreate, Room: room, By: "a", Name: "all", Users: people[1:]})
	rooms := map[chat.UserID]chat.RoomID{}
	for i, u := range people {
		rooms[u] = h.direct(u, people[(i+3)%len(people)])
	}
	var mu sync.Mutex
	acked := map[chat.RoomID]map[string]chat.Seq{room: {}}
	for _, r := range rooms {
		acked[r] = map[string]chat.Seq{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var senders sync.WaitGroup
	copied := make(chan struct{}, 1)
	var sent int
	for _, u := range people {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for i := 0; ctx.Err() == nil; i++ {
				r := room
				if i%2 == 0 {
					r = rooms[u]
				}
				text := fmt.Sprintf("%s-%d", u, i)
				res, err := h.try(chat.Command{Op: chat.OpSend, Room: r, By: u, Text: text})
				if err != nil {
					t.Errorf("%s: %v", text, err)
					return
				}
				mu.Lock()
				acked[r][text] = res.Seq
				if sent++; sent%400 == 0 {
					select {
					case copied <- struct{}{}:
					default:
					}
				}
				mu.Unlock()
			}
		}()
	}
	for round := range 3 {
		<-copied
		mu.Lock()
		before := map[chat.RoomID]map[string]chat.Seq{}
		for r, texts := range acked {
			before[r] = map[string]chat.Seq{}
			for text, seq := range texts {
				before[r][text] = seq
			}
		}
		mu.Unlock()
		dir := t.TempDir()
		copyStore(t, h.dir, dir)
		t.Run(fmt.Sprintf("crash %d", round+1), func(t *testing.T) { checkCrashed(t, dir, before, room, people) })
	}
	cancel()
	senders.Wait()
}

func checkCrashed(t *testing.T, dir string, acked map[chat.RoomID]map[string]chat.Seq, group chat.RoomID, people []chat.UserID) {
	h := &house{t: t, dir: dir, retention: time.Hour}
	h.ids.Store(1 << 60)
	h.start(false)
	total := 0
	for r, texts := range acked {
		held := h.texts(r)
		for text, seq := range texts {
			total++
			if int(seq) > len(held) || held[seq-1] != text {
				t.Fatalf("room %s: %q was acknowledged as %d; history holds %d messages", r, text, seq, len(held))
			}
		}
	}
	for _, u := range people {
		events, _ := h.queue(u, chat.Cursor{})
		inQueue := map[string]int{}
		for _, text := range messagesOf(t, events) {
			inQueue[text]++
		}
		for text := range acked[group] {
			if inQueue[text] != 1 {
				t.Fatalf("%s has %q %d times", u, text, inQueue[text])
			}
		}
	}
	t.Logf("%d acknowledged messages, all there", total)
	if res := h.send(group, "a", "afterwards"); int(res.Seq) != len(h.texts(group)) {
		t.Fatalf("the next message has seq %d of %d", res.Seq, len(h.texts(group)))
	}
}
