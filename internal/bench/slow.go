package bench

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"

	"natter/client"
	"natter/wire"
)

// slowReaders are devices that say hello and then read a byte a second. When
// the node sends one away it comes back, with the cursor it had at first.
type slowReaders struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	closed atomic.Int64
}

const (
	slowBeat   = time.Second
	slowBuffer = 4 << 10 // of the kernel, for what it hasn't read
	slowDial   = 10 * time.Second
)

// slowReaders are second devices of the first n players, in all their rooms.
func (w *world) slowReaders(ctx context.Context, n int) (*slowReaders, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &slowReaders{cancel: cancel}
	cursors := make([]string, n)
	err := each(ctx, setupWorkers, n, func(i int) error {
		var err error
		cursors[i], err = w.players[i].person.account.Cursor(ctx)
		return err
	})
	if err != nil {
		cancel()
		return nil, err
	}
	for i := range n {
		s.work.Go(func() {
			for ctx.Err() == nil {
				if err := readSlowly(ctx, w.players[i].person.account, cursors[i]); err != nil && ctx.Err() == nil {
					s.closed.Add(1)
				}
				rest(ctx, slowBeat)
			}
		})
	}
	return s, nil
}

func (s *slowReaders) stop() {
	s.cancel()
	s.work.Wait()
}

// readSlowly is the life of one connection.
func readSlowly(ctx context.Context, account *client.Account, cursor string) error {
	token, err := account.Token(ctx)
	if err != nil {
		return err
	}
	dialer := websocket.Dialer{
		Subprotocols: []string{client.Subprotocol}, HandshakeTimeout: slowDial,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = errors.Join(err, tcp.SetReadBuffer(slowBuffer))
			}
			return conn, err
		},
	}
	ws, _, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(account.Base(), "http")+"/v1/ws", nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.TextMessage, wire.Encode(&wire.Hello{Ref: "1", Token: token, Cursor: cursor})); err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer unhook()
	var one [1]byte
	for ctx.Err() == nil {
		if _, err := ws.NetConn().Read(one[:]); err != nil {
			return err
		}
		rest(ctx, slowBeat)
	}
	return nil
}
