package wire_test

import (
	"strings"
	"testing"

	"natter/chat"
	"natter/wire"
)

func BenchmarkDecodeSend(b *testing.B) {
	in := wire.Encode(&wire.Send{Ref: "12", RoomID: "d0123456789abcdefghijklmn", ClientID: uuid.String(), Text: strings.Repeat("안녕 hello ", 23)})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := wire.DecodeClient(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMessageEvent(b *testing.B) {
	m := text
	m.Text, m.Reactions, m.EditedAt = strings.Repeat("안녕 hello ", 23), nil, 0
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = wire.AppendMessageEvent(buf[:0], chat.EventMessage, &m)
	}
}
