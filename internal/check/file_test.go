package check

import (
	"bytes"
	"strings"
	"testing"

	"natter/chat"
)

// TestHistoryFile: a history read again is judged as before, whatever went wrong
// in it.
func TestHistoryFile(t *testing.T) {
	h := run(100, func(r Reader, s shown, show func(shown)) {
		if r == "bob/phone" && s.seq == 50 {
			return // lost
		}
		show(s)
		if r == "ann/web" && s.seq == 7 {
			show(s) // twice
		}
	})
	h.Acked(room, keyOf(20), 1101, 101)                  // a retry, answered differently
	h.Acked(room, keyOf(500), 1102, 102)                 // nobody sent it
	h.Sent(room, "ann", keyOf(300))                      // and never acknowledged
	h.Seen(room, "eve", 1, 1001, keyOf(1))               // a stranger
	h.Member("gother", "new/phone", 3)                   // another room
	h.Seen("gother", "new/phone", 4, 9, chat.ClientID{}) // a system message
	var file bytes.Buffer
	n, err := h.WriteTo(&file)
	if err != nil || n != int64(file.Len()) {
		t.Fatalf("%d bytes said, %d written: %v", n, file.Len(), err)
	}
	first := file.String()
	again, err := ReadHistory(&file)
	if err != nil {
		t.Fatal(err)
	}
	want, got := h.Check(), again.Check()
	want.Findings, got.Findings = nil, nil // rooms are judged in any order
	if got.String() != want.String() || got.Lost != 1 || got.Twice != 2 || got.Unexpected != 1 || got.Foreign != 1 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var second bytes.Buffer
	if _, err := again.WriteTo(&second); err != nil || second.String() != first {
		t.Errorf("written again it is another file: %v", err)
	}
}

// FuzzReadHistory: a file is refused or read, and what was read is judged.
func FuzzReadHistory(f *testing.F) {
	f.Add(`{"room":"r","member":"a"}` + "\n" + `{"room":"r","sent":"a","key":"018bcfe5-6801-7100-8100-000000000000","acked":true,"id":"1","seq":1}`)
	f.Add(`{"room":"r","seen":"a","seq":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadHistory(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, r := range h.rooms {
			for _, list := range r.shown {
				for _, s := range list {
					if s.seq > 1<<20 {
						return // holes are counted one by one
					}
				}
			}
		}
		h.Check()
	})
}
