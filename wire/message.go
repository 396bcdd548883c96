package wire

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"natter/chat"
)

// AppendMessageEvent appends the event of a message: what Append writes for it,
// without reflection. Every member of a room waits for these bytes.
func AppendMessageEvent(dst []byte, t chat.EventType, m *Message) []byte {
	dst = append(dst, `{"type":`...)
	dst = quote(dst, string(t))
	dst = append(dst, `,"message":`...)
	dst = AppendMessage(dst, m)
	return append(dst, '}')
}

// AppendMessage appends m in JSON, as Append writes it.
func AppendMessage(dst []byte, m *Message) []byte {
	dst = append(dst, `{"id":"`...)
	dst = strconv.AppendUint(dst, uint64(m.ID), 10)
	dst = append(dst, `","room_id":`...)
	dst = quote(dst, string(m.RoomID))
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(m.Seq), 10)
	dst = append(dst, `,"kind":`...)
	dst = quote(dst, string(m.Kind))
	dst = append(dst, `,"sender_id":`...)
	dst = quote(dst, string(m.SenderID))
	if !m.ClientID.IsZero() {
		dst = append(dst, `,"client_id":"`...)
		dst = append(dst, m.ClientID.String()...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"text":`...)
	dst = quote(dst, m.Text)
	if m.System != nil {
		dst = append(dst, `,"system":`...)
		dst = Append(dst, m.System)
	}
	if m.ReplyTo != 0 {
		dst = append(dst, `,"reply_to":`...)
		dst = strconv.AppendUint(dst, uint64(m.ReplyTo), 10)
	}
	if len(m.Mentions) > 0 {
		dst = append(dst, `,"mentions":[`...)
		for i, u := range m.Mentions {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = quote(dst, string(u))
		}
		dst = append(dst, ']')
	}
	dst = appendTime(dst, `,"edited_at":"`, m.EditedAt)
	dst = appendTime(dst, `,"deleted_at":"`, m.DeletedAt)
	if len(m.Reactions) > 0 {
		dst = append(dst, `,"reactions":`...)
		dst = Append(dst, m.Reactions)
	}
	dst = append(dst, `,"created_at":"`...)
	dst = chat.Millis(m.CreatedAt).Append(dst)
	return append(dst, `"}`...)
}

// appendTime appends a member that is left out when it is zero.
func appendTime(dst []byte, name string, t Time) []byte {
	if t == 0 {
		return dst
	}
	dst = append(dst, name...)
	dst = chat.Millis(t).Append(dst)
	return append(dst, '"')
}

// quote appends s as a JSON string; invalid UTF-8 becomes U+FFFD.
func quote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // its error says that it did just that
	return dst
}
