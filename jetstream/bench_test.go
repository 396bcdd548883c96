package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"natter/chat"
	"natter/internal/natstest"
)

// BenchmarkPairs is the store without sockets: pairs of people, 300-byte texts,
// a window of messages under way each, every receiver following its queue.
func BenchmarkPairs(b *testing.B) {
	for _, c := range []struct{ users, window int }{{4, 1}, {200, 1}, {200, 16}} {
		b.Run(fmt.Sprintf("users=%d,window=%d", c.users, c.window), func(b *testing.B) { pairs(b, c.users, c.window) })
	}
}

func pairs(b *testing.B, users, window int) {
	n := natstest.Start(b, b.TempDir(), true)
	s, err := Open(context.Background(), Options{Connect: n.Connect, Partitions: 4, Node: "n1", Replicas: 1, QueueRetention: time.Hour,
		Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { b.Error(err) }})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.Background())
	ids := make(chan chat.MessageID, 1024)
	go func() {
		for id := chat.MessageID(1 << 40); ; id++ {
			ids <- id
		}
	}()
	text := strings.Repeat("x", 300)
	var delivered sync.WaitGroup
	rooms := make([]chat.RoomID, users)
	name := func(i int) chat.UserID { return chat.UserID(fmt.Sprintf("u%d", i)) }
	for i := 0; i < users; i += 2 {
		r := chat.DirectRoomID(name(i), name(i+1))
		rooms[i], rooms[i+1] = r, r
		if _, err := s.Log().Append(context.Background(), &chat.Command{ID: <-ids, At: 1, Op: chat.OpDirect, Room: r, By: name(i), Users: []chat.UserID{name(i + 1)}}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range users {
		stop, err := s.Queues().Follow(name(i), func(e *chat.Entry) {})
		if err != nil {
			b.Fatal(err)
		}
		defer stop()
	}
	b.ReportAllocs()
	b.ResetTimer()
	slots := make(chan int, users*window)
	for i := range users * window {
		slots <- i % users
	}
	for range b.N {
		u := <-slots
		delivered.Add(1)
		c := &chat.Command{ID: <-ids, At: chat.MillisOf(time.Now()), Op: chat.OpSend, Room: rooms[u], By: name(u), ClientID: newClientID(), Text: text}
		err := s.Log().Submit(c, func(_ chat.Result, err error) {
			if err != nil {
				b.Error(err)
			}
			slots <- u
			delivered.Done()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	delivered.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "chats/s")
}
