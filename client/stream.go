package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"natter/wire"
)

// maxLine bounds a line of a stream: an event of the largest kind fits.
const maxLine = 4 << 20

// stream takes one answer of Server-Sent Events to its end, which is always an
// error.
func (p *Poller) stream(ctx context.Context, cursor *string) (heard bool, err error) {
	if _, err := p.account.Token(ctx); err != nil {
		return false, err
	}
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	silent := time.AfterFunc(p.opts.Silence, func() { cut(errSilent) })
	defer silent.Stop()
	res, err := p.account.openStream(ctx, *cursor)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	body := &heardReader{res.Body, func() { silent.Reset(p.opts.Silence) }}
	err = readStream(body, func(e *sseEvent) error {
		heard = true
		if err := p.streamed(e); err != nil {
			return err
		}
		if e.id != "" {
			*cursor = e.id
		}
		return nil
	})
	if cause := context.Cause(ctx); cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	return heard, err
}

// heardReader tells of each read that brought something.
type heardReader struct {
	io.Reader
	heard func()
}

func (r *heardReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if n > 0 {
		r.heard()
	}
	return n, err
}

// readStream reads events until the stream ends or each fails, which is always an
// error. The event is each's until it returns.
func readStream(from io.Reader, each func(*sseEvent) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 4<<10), maxLine)
	var e sseEvent
	for lines.Scan() {
		if !e.line(lines.Text()) {
			continue
		}
		if err := each(&e); err != nil {
			return err
		}
		e.kind, e.data = "", ""
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("client: stream: %w", err)
	}
	return errStreamEnded
}

var (
	errSilent      = errors.New("client: the stream fell silent")
	errStreamEnded = errors.New("client: the stream ended")
)

func (p *Poller) streamed(e *sseEvent) error {
	switch e.kind {
	case "":
		full := new(wire.Event)
		if err := wire.Parse([]byte(e.data), full); err != nil {
			return fmt.Errorf("client: stream: %w", err)
		}
		p.tell(full)
	case "reset":
		p.reset()
	}
	return nil // synced, and what a newer server says
}

// sseEvent gathers an event of a stream; id stays from one to the next.
type sseEvent struct{ kind, id, data string }

// line takes a line and tells whether it ended an event.
func (e *sseEvent) line(text string) bool {
	if text == "" {
		return e.data != ""
	}
	field, value, _ := strings.Cut(text, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "event":
		e.kind = value
	case "id":
		e.id = value
	case "data":
		if e.data != "" {
			e.data += "\n"
		}
		e.data += value
	}
	return false // a comment has no field
}

// openStream begins the answer of events after cursor.
func (a *Account) openStream(ctx context.Context, cursor string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/v1/sync/stream", nil)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", cursor)
	req.Header.Set("Authorization", "Bearer "+a.Session().AccessToken)
	res, err := a.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return nil, refusal(res, body)
	}
	return res, nil
}
