package jetstream

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/nats-io/nats.go"

	"natter/chat"
)

// FuzzDecode: whatever of a stored record can be read can be written again, and is
// then read as the same.
func FuzzDecode(f *testing.F) {
	for _, record := range someRecords() {
		f.Add(must(encode(record)))
	}
	f.Add(must(encode(&cursorRecord{Epoch: 1, Seq: 2, Place: 3, Gone: true})))
	f.Add(must(encode(&resultMessage{Results: []result{{ID: 1, First: 2, Seq: 3, At: 4, Refusal: &refusal{Kind: chat.KindConflict, Detail: "d"}}}})))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, record := range []any{new(batch), new(roomEntry), new(page), new(roomRecord), new(markRecord), new(draftRecord), new(queueEntry), new(checkpoint), new(windowRecord),
			new(cursorRecord), new(resultMessage)} {
			if decode(data, record) != nil {
				continue
			}
			written, err := encode(record)
			if err != nil {
				t.Fatalf("%T was read and can't be written: %v", record, err)
			}
			again := reflect.New(reflect.TypeOf(record).Elem()).Interface()
			if err := decode(written, again); err != nil {
				t.Fatalf("%T was written and can't be read: %v", record, err)
			}
		}
	})
}

// FuzzLive: what a teller publishes, or a queue holds, is an entry or an error.
func FuzzLive(f *testing.F) {
	head := append(make([]byte, liveHead-1), 7)
	f.Add(append(head, must(encode(someRecords()["queue_entry"]))...))
	f.Add(head)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Store{events: newEventCache()}
		if len(data) >= liveHead {
			entry, err := s.decodeEntry(stored{Subject: "live.u1", Sequence: 1, Data: data[liveHead:]})
			if err != nil {
				return
			}
			for i, event := range entry.Events {
				if event == nil {
					t.Fatalf("event %d of an entry that was read is none", i)
				}
			}
		}
	})
}

// FuzzEpochs: a list that is read brings every cursor back, forward never.
func FuzzEpochs(f *testing.F) {
	f.Add([]byte(`{"epochs":[{"number":1,"starts":[0,0]},{"number":2,"starts":[990,7]}]}`), uint64(1), uint64(1000))
	f.Add([]byte(`{"epochs":[{"number":18446744073709551615,"starts":[]}]}`), uint64(0), uint64(1))
	f.Fuzz(func(t *testing.T, value []byte, number, seq uint64) {
		e, err := parseEpochs(value, 2)
		if err != nil {
			return
		}
		for q := range 2 {
			c, err := e.clamp(chat.Cursor{Epoch: number, Seq: seq, Place: 1}, q)
			if err == nil && (c.Seq > seq || c.Epoch != e.current()) {
				t.Fatalf("%d of epoch %d became %+v", seq, number, c)
			}
		}
	})
}

// FuzzHoles: the hole that is mended begins at a sequence which is gone and is in no
// hole that was mended before, and none is overlooked.
func FuzzHoles(f *testing.F) {
	f.Add([]byte{5, 6, 9}, []byte(`[{"From":5,"To":6}]`), uint64(1))
	f.Add([]byte{0, 1, 255}, []byte(`[{"From":0,"To":18446744073709551615}]`), uint64(0))
	f.Fuzz(func(t *testing.T, deleted, note []byte, from uint64) {
		var noted []span
		if json.Unmarshal(note, &noted) != nil {
			return
		}
		gone := map[uint64]bool{}
		for _, n := range deleted {
			gone[uint64(n)] = true
		}
		const first, last = 1, 255
		from %= 256
		at := firstHole(gone, noted, max(from+1, first), last)
		if at != 0 && (!gone[at] || at <= from || at > last) {
			t.Fatalf("a hole at %d of %v after %d", at, deleted, from)
		}
		if at != 0 {
			return
		}
		for n := from + 1; n <= last; n++ {
			covered := false
			for _, s := range noted {
				covered = covered || s.From <= n && n <= s.To
			}
			if gone[n] && !covered {
				t.Fatalf("the hole at %d of %v after %d was overlooked", n, deleted, from)
			}
		}
	})
}

// FuzzAck: an acknowledgement has a sequence or is an error, and the quick way reads
// what JSON says.
func FuzzAck(f *testing.F) {
	f.Add([]byte(`{"stream":"LOG-0","seq":12}`))
	f.Add([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence"}}`))
	f.Add([]byte(`{"stream":"LOG-0","seq":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := parseAck(&nats.Msg{Data: data})
		if err == nil && n == 0 {
			t.Fatalf("%q was taken for an acknowledgement", data)
		}
	})
}
