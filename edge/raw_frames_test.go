package edge

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"natter/chat"
	"natter/wire"
)

// masked is a client's frame: first is FIN, RSV and opcode.
func masked(first byte, payload string) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n <= 125:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xffff:
		frame = append(frame, 0x80|126, byte(n>>8), byte(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	frame = append(frame, 1, 2, 3, 4)
	for i := range len(payload) {
		frame = append(frame, payload[i]^byte(i%4+1))
	}
	return frame
}

// pieces are a text in so many frames of size bytes, and a last one.
func pieces(text string, size int) (frames [][]byte) {
	first := byte(0x01)
	for ; len(text) > size; text = text[size:] {
		frames = append(frames, masked(first, text[:size]))
		first = 0
	}
	return append(frames, masked(first|0x80, text))
}

// padded is a ping frame of this protocol that is n bytes long.
func padded(n int) string {
	const text = `{"op":"ping","ref":"raw"}`
	return text[:len(text)-1] + strings.Repeat(" ", n-len(text)) + "}"
}

func closing(code int, reason string) []byte {
	return masked(0x88, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// rawCase is what a client sends and what it hears. The names are those of the
// Autobahn test suite's cases, as far as they apply: no compression, 64 KiB.
type rawCase struct {
	frames  [][]byte
	chop    int            // sent in so many bytes at a time; 0 for all at once
	code    wire.CloseCode // 0: the socket lives
	pongs   []string
	answers int // to the raw ping
	// lean: for that driver only. The portable one's library says 1002 by itself,
	// before what waits in the outbox, and takes a close of one byte for none.
	lean bool
}

const rawPing = `{"op":"ping","ref":"raw"}`

func rawCases() map[string]rawCase {
	full := strings.Repeat("x", 125)
	all := map[string]rawCase{
		"2.1 empty ping":                  {frames: [][]byte{masked(0x89, "")}, pongs: []string{""}},
		"2.2 ping":                        {frames: [][]byte{masked(0x89, "hello")}, pongs: []string{"hello"}},
		"2.3 binary ping":                 {frames: [][]byte{masked(0x89, "\x00\xff\xfe\xfd")}, pongs: []string{"\x00\xff\xfe\xfd"}},
		"2.4 full ping":                   {frames: [][]byte{masked(0x89, full)}, pongs: []string{full}},
		"2.5 ping of 126":                 {frames: [][]byte{masked(0x89, full+"x")}, code: wire.CloseProtocol},
		"2.6 full ping, chopped":          {frames: [][]byte{masked(0x89, full)}, chop: 1, pongs: []string{full}},
		"2.7 empty pong":                  {frames: [][]byte{masked(0x8a, "")}},
		"2.8 pong nobody asked for":       {frames: [][]byte{masked(0x8a, "hello")}},
		"2.9 pong, then ping":             {frames: [][]byte{masked(0x8a, "hello"), masked(0x89, "you")}, pongs: []string{"you"}},
		"2.10 pings":                      {frames: [][]byte{masked(0x89, "1"), masked(0x89, "2"), masked(0x89, "3")}, pongs: []string{"1", "2", "3"}},
		"2.11 pings, chopped":             {frames: [][]byte{masked(0x89, "1"), masked(0x89, "2"), masked(0x89, "3")}, chop: 1, pongs: []string{"1", "2", "3"}},
		"3.1 RSV3":                        {frames: [][]byte{masked(0x91, rawPing)}, code: wire.CloseProtocol},
		"3.2 RSV2 after a text":           {frames: [][]byte{masked(0x81, rawPing), masked(0xa1, rawPing)}, code: wire.CloseProtocol, answers: 1, lean: true},
		"3.4 RSV1, chopped":               {frames: [][]byte{masked(0xc1, rawPing)}, chop: 1, code: wire.CloseProtocol},
		"3.6 RSV on a ping":               {frames: [][]byte{masked(0xe9, "x")}, code: wire.CloseProtocol},
		"3.7 RSV on a close":              {frames: [][]byte{masked(0xf8, "\x03\xe8")}, code: wire.CloseProtocol},
		"5.1 ping in pieces":              {frames: [][]byte{masked(0x09, "a"), masked(0x80, "b")}, code: wire.CloseProtocol},
		"5.2 pong in pieces":              {frames: [][]byte{masked(0x0a, "a"), masked(0x80, "b")}, code: wire.CloseProtocol},
		"5.3 two pieces":                  {frames: pieces(rawPing, 13), answers: 1},
		"5.5 two pieces, chopped":         {frames: pieces(rawPing, 13), chop: 1, answers: 1},
		"5.6 ping between":                {frames: [][]byte{masked(0x01, rawPing[:5]), masked(0x89, "x"), masked(0x80, rawPing[5:])}, pongs: []string{"x"}, answers: 1},
		"5.8 ping between, chopped":       {frames: [][]byte{masked(0x01, rawPing[:5]), masked(0x89, "x"), masked(0x80, rawPing[5:])}, chop: 1, pongs: []string{"x"}, answers: 1},
		"5.9 continues nothing, ends":     {frames: [][]byte{masked(0x80, "x"), masked(0x81, rawPing)}, code: wire.CloseProtocol},
		"5.12 continues nothing":          {frames: [][]byte{masked(0x00, "x"), masked(0x81, rawPing)}, code: wire.CloseProtocol},
		"5.15 continues what has ended":   {frames: [][]byte{masked(0x01, rawPing[:5]), masked(0x80, rawPing[5:]), masked(0x00, "x"), masked(0x81, rawPing)}, code: wire.CloseProtocol, answers: 1, lean: true},
		"5.18 begins twice":               {frames: [][]byte{masked(0x01, rawPing), masked(0x81, rawPing)}, code: wire.CloseProtocol},
		"5.19 pings between five pieces":  {frames: [][]byte{masked(0x01, rawPing[:4]), masked(0x00, rawPing[4:6]), masked(0x89, "1"), masked(0x00, rawPing[6:8]), masked(0x00, rawPing[8:9]), masked(0x89, "2"), masked(0x80, rawPing[9:])}, pongs: []string{"1", "2"}, answers: 1},
		"6.1 empty pieces":                {frames: [][]byte{masked(0x01, ""), masked(0x00, ""), masked(0x80, rawPing)}, answers: 1},
		"6.2 UTF-8 in pieces of a byte":   {frames: pieces(rawPing, 1), answers: 1},
		"6.3 invalid UTF-8":               {frames: [][]byte{masked(0x81, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64")}, code: wire.CloseInvalidUTF8},
		"6.4 invalid UTF-8 in pieces":     {frames: pieces("\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80\x65", 6), code: wire.CloseInvalidUTF8},
		"6.6 half a rune at the end":      {frames: [][]byte{masked(0x81, "{\"op\":\"p\xe2\x82")}, code: wire.CloseInvalidUTF8},
		"6.8 over long":                   {frames: [][]byte{masked(0x81, "\xc0\xaf")}, code: wire.CloseInvalidUTF8},
		"6.14 surrogate":                  {frames: [][]byte{masked(0x81, "\xed\xa0\x80")}, code: wire.CloseInvalidUTF8},
		"7.1 close":                       {frames: [][]byte{closing(1000, ""), masked(0x81, rawPing)}, code: wire.CloseNormal},
		"7.1.5 close in a message":        {frames: [][]byte{masked(0x01, "x"), closing(1000, ""), masked(0x80, "x")}, code: wire.CloseNormal},
		"7.3.1 close without a payload":   {frames: [][]byte{masked(0x88, "")}, code: wire.CloseNormal},
		"7.3.2 close of a byte":           {frames: [][]byte{masked(0x88, "\x03")}, code: wire.CloseProtocol, lean: true},
		"7.3.5 close with a full reason":  {frames: [][]byte{closing(1000, full[2:])}, code: wire.CloseNormal},
		"7.3.6 close with too long a one": {frames: [][]byte{closing(1000, full)}, code: wire.CloseProtocol},
		"7.5 close of invalid UTF-8":      {frames: [][]byte{closing(1000, "\xce\xba\xed\xa0\x80")}, code: wire.CloseProtocol},
		"a close in pieces":               {frames: [][]byte{masked(0x08, "\x03\xe8")}, code: wire.CloseProtocol},
		"10.1 many in one packet":         {frames: slices.Repeat([][]byte{masked(0x81, rawPing)}, 200), answers: 200},
		"not masked":                      {frames: [][]byte{append([]byte{0x81, byte(len(rawPing))}, rawPing...)}, code: wire.CloseProtocol},
		"2^63 bytes announced":            {frames: [][]byte{{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}}, code: wire.CloseProtocol},
		"2^63-1 bytes announced":          {frames: [][]byte{{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, make([]byte, 70_000)}, code: wire.CloseTooLarge},
		"2^40 bytes announced":            {frames: [][]byte{{0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}, make([]byte, 70_000)}, code: wire.CloseTooLarge},
		"9.1 64 KiB and one":              {frames: [][]byte{masked(0x81, padded(chat.MaxFrameBytes+1))}, code: wire.CloseTooLarge},
		"9.3 64 KiB and one in pieces":    {frames: pieces(padded(chat.MaxFrameBytes+1), 4096), code: wire.CloseTooLarge},
		"9.3 64 KiB in pieces":            {frames: pieces(padded(chat.MaxFrameBytes), 64), answers: 1},
		"binary":                          {frames: [][]byte{masked(0x82, rawPing)}, code: wire.CloseProtocolError},
		"binary in pieces":                {frames: [][]byte{masked(0x02, rawPing[:5]), masked(0x80, rawPing[5:])}, code: wire.CloseProtocolError},
		"empty binary":                    {frames: [][]byte{masked(0x82, "")}, code: wire.CloseProtocolError},
		"a length in the long form":       {frames: [][]byte{append([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, byte(len(rawPing)), 0, 0, 0, 0}, rawPing...)}, answers: 1},
	}
	for _, n := range []int{125, 126, 127, 128, 4000, 4090, 4091, 4096, 4097, 65535, 65536} {
		all["1.1 text of "+strconv.Itoa(n)] = rawCase{frames: [][]byte{masked(0x81, padded(n))}, answers: 1}
	}
	all["1.1.8 text of 65536, chopped"] = rawCase{frames: [][]byte{masked(0x81, padded(65536))}, chop: 997, answers: 1}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		all["4 opcode "+strconv.Itoa(int(op))] = rawCase{frames: [][]byte{masked(0x80|op, "x"), masked(0x81, rawPing)}, code: wire.CloseProtocol}
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 3999, 4000, 4999} {
		all["7.7 close "+strconv.Itoa(code)] = rawCase{frames: [][]byte{closing(code, "bye")}, code: wire.CloseNormal}
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		all["7.9 close "+strconv.Itoa(code)] = rawCase{frames: [][]byte{closing(code, "bye")}, code: wire.CloseProtocol}
	}
	return all
}

// TestRawFrames: what libraries would and would not send.
func TestRawFrames(t *testing.T) {
	h := open(t)
	mina := h.person("mina")
	for name, c := range rawCases() {
		if c.lean && h.edge.PortableSockets {
			continue
		}
		t.Run(name, func(t *testing.T) { mina.connect().hears(t, c) })
	}
	mina.connect().alive()
}

// hears sends a case's frames and checks what comes.
func (s *socket) hears(t *testing.T, c rawCase) {
	t.Helper()
	s.t = t
	var pongs []string
	s.ws.SetPongHandler(func(payload string) error { pongs = append(pongs, payload); return nil })
	out := slices.Concat(c.frames...)
	if c.code == 0 {
		out = append(out, masked(0x81, `{"op":"ping","ref":"last"}`)...)
	}
	if c.chop == 0 {
		c.chop = len(out)
	}
	for chunk := range slices.Chunk(out, c.chop) {
		if _, err := s.ws.NetConn().Write(chunk); err != nil {
			break // closed already; the code says why
		}
	}
	answers := 0
	for {
		f, err := s.read()
		if err != nil {
			if !websocket.IsCloseError(err, int(c.code)) {
				t.Errorf("closed by %v, want %d", err, c.code)
			}
			break
		}
		pong, ok := f.(*wire.Pong)
		if ok && pong.Ref == "last" {
			break
		}
		if ok {
			answers++
		}
	}
	if answers != c.answers || !slices.Equal(pongs, c.pongs) {
		t.Errorf("%d answers and the pongs %q, want %d and %q", answers, pongs, c.answers, c.pongs)
	}
	_ = s.ws.Close()
}
