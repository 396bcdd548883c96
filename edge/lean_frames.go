package edge

import (
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"natter/chat"
)

// maxPieces bounds the frames of one message: 64 KiB in pieces of 64 bytes.
const maxPieces = 1024

// next is the next text. Control frames on the way are answered.
func (d *lean) next() ([]byte, error) {
	state, pieces := ws.StateServerSide, 0
	for {
		h, err := ws.ReadHeaderBuffer(d, d.scratch[:])
		if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
			return nil, errProtocol
		}
		if err != nil {
			return nil, err
		}
		if ws.CheckHeader(h, state) != nil {
			return nil, errProtocol
		}
		if h.OpCode.IsControl() {
			if err := d.control(h); err != nil {
				return nil, err
			}
			continue
		}
		had := 0
		if d.message != nil {
			had = d.message.Len()
		}
		pieces++
		switch {
		case h.OpCode == ws.OpBinary:
			return nil, errBinary
		case h.Length > int64(chat.MaxFrameBytes-had):
			return nil, errTooLarge
		case pieces > maxPieces:
			return nil, errTooMany
		case h.Fin && pieces == 1 && int(h.Length) <= len(d.rest):
			text := d.rest[:h.Length]
			d.rest = d.rest[h.Length:]
			ws.Cipher(text, h.Mask, 0)
			return text, nil
		}
		if err := d.collect(h); err != nil {
			return nil, err
		}
		if h.Fin {
			return d.message.Bytes(), nil
		}
		state = state.Set(ws.StateFragmented)
	}
}

// collect adds a frame's payload to the message, as it comes: what is announced
// only takes no memory.
func (d *lean) collect(h ws.Header) error {
	if d.message == nil {
		d.message = newMessage()
	}
	for done := 0; done < int(h.Length); {
		if err := d.fill(); err != nil {
			return unexpected(err)
		}
		n := min(len(d.rest), int(h.Length)-done)
		ws.Cipher(d.rest[:n], h.Mask, done)
		d.message.Write(d.rest[:n])
		d.rest = d.rest[n:]
		done += n
	}
	return nil
}

// control works on a control frame; its error ends the connection.
func (d *lean) control(h ws.Header) error {
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(d, payload); err != nil {
		return unexpected(err)
	}
	ws.Cipher(payload, h.Mask, 0)
	switch h.OpCode {
	case ws.OpPing:
		return d.pong(payload)
	case ws.OpClose:
		return checkClose(payload)
	}
	return nil // a pong is no answer to anything: we don't ping
}

// checkClose is errClosed for a close frame as the protocol has it.
func checkClose(payload []byte) error {
	switch len(payload) {
	case 0:
		return errClosed
	case 1:
		return errProtocol
	}
	code, reason := ws.StatusCode(payload[0])<<8|ws.StatusCode(payload[1]), payload[2:]
	registered := code == 1012 || code == 1013 || code == 1014 // newer than the RFC
	if code > 4999 || !registered && ws.CheckCloseFrameData(code, "") != nil || !utf8.Valid(reason) {
		return errProtocol
	}
	return errClosed
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
