package jetstream

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"natter/chat"
)

// The stored records. Each is one version byte and a CBOR map with small
// integer keys (RFC 8949), but for queueEntry; testdata/ freezes the first
// version. Upto is the log
// sequence up to which the record's subject is complete: recovery writes
// nothing at or below it again.

const storedVersion = 1

// batch is a message of LOG-p: the commands of one node that shared an fsync.
type batch struct {
	Origin   string         `cbor:"1,keyasint"` // <node>.<run>: where the results go
	Commands []chat.Command `cbor:"2,keyasint"`
}

// roomEntry is a message of msg.<p>.<room>: what one take did to the history.
// Messages may hold older seqs again, changed. The last is the room's newest.
type roomEntry struct {
	Upto     uint64         `cbor:"1,keyasint"`
	Last     chat.Seq       `cbor:"2,keyasint"`
	Messages []chat.Message `cbor:"3,keyasint"`
}

// page is a message of page.<p>.<room>.<k>: the messages 64k+1 to 64k+64.
type page struct {
	Upto uint64 `cbor:"1,keyasint"`
	// After is a sequence of HISTORY-p below which no entry of the room holds a
	// message newer than the page: where the tail's reading begins. Sealing again
	// keeps it.
	After    uint64         `cbor:"2,keyasint"`
	Messages []chat.Message `cbor:"3,keyasint"`
}

// roomRecord is a message of room.<p>.<room>.
type roomRecord struct {
	Upto uint64    `cbor:"1,keyasint"`
	Room chat.Room `cbor:"2,keyasint"`
}

// markRecord is a message of mark.<p>.<user>.<room>.
type markRecord struct {
	Upto uint64    `cbor:"1,keyasint"`
	Mark chat.Mark `cbor:"2,keyasint"`
}

// draftRecord is a message of draft.<p>.<user>.<room>. A draft without a text is
// one that is gone.
type draftRecord struct {
	Upto  uint64     `cbor:"1,keyasint"`
	Draft chat.Draft `cbor:"2,keyasint"`
}

// queueEntry is a message of sync.<q>.<user>: a user's events of one take of
// partition Partition. It is the one record that is written and read for every
// receiver, so it isn't CBOR itself but a frame around events that were encoded
// once for all of them, and reading it copies nothing:
//
//	version | upto | partition | events… each as length | CBOR
//
// All numbers but the version byte are unsigned varints.
type queueEntry struct {
	Upto      uint64
	Partition int
	Events    [][]byte
}

func (e *queueEntry) append(b []byte) []byte {
	b = append(b, storedVersion)
	b = binary.AppendUvarint(b, e.Upto)
	b = binary.AppendUvarint(b, uint64(e.Partition))
	for _, event := range e.Events {
		b = binary.AppendUvarint(b, uint64(len(event)))
		b = append(b, event...)
	}
	return b
}

// parse reads an entry; its events are slices of data. Without events only the
// head is read.
func (e *queueEntry) parse(data []byte, events bool) error {
	if len(data) == 0 || data[0] != storedVersion {
		return versionError(data, e)
	}
	upto, n := binary.Uvarint(data[1:])
	partition, m := binary.Uvarint(data[1+max(n, 0):])
	if n <= 0 || m <= 0 || partition > 1<<16 {
		return fmt.Errorf("decode %T: its head is cut short", e)
	}
	e.Upto, e.Partition = upto, int(partition)
	for data = data[1+n+m:]; events && len(data) > 0; {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return fmt.Errorf("decode %T: an event is cut short", e)
		}
		e.Events = append(e.Events, data[n:n+int(size):n+int(size)])
		data = data[n+int(size):]
	}
	return nil
}

// checkpoint is a message of checkpoint.<p>: every write of the log up to Log
// has been acknowledged, none of them beyond these sequences.
type checkpoint struct {
	Log     uint64      `cbor:"1,keyasint"`
	History uint64      `cbor:"2,keyasint"`
	Sync    []uint64    `cbor:"3,keyasint"`
	At      chat.Millis `cbor:"4,keyasint"` // the newest command's time
	// Again: an unclean start began here once more. What stands between the first
	// form of this checkpoint and this one tells of sequences that are gone, or are
	// other entries now.
	Again bool `cbor:"5,keyasint,omitempty"`
	// Window is the newest windowRecord of what was sent up to Log, in CHECKPOINTS; 0:
	// there is none, or it isn't known.
	Window uint64 `cbor:"6,keyasint,omitempty"`
}

// resultMessage is what a projector answers a node: never stored. Reach is where its
// streams were when what it tells of had been written.
type resultMessage struct {
	Results []result `cbor:"1,keyasint"`
	Reach   *reach   `cbor:"2,keyasint,omitempty"`
}

// reach is what a partition's projector has written of each stream.
type reach struct {
	Partition int      `cbor:"1,keyasint"`
	History   uint64   `cbor:"2,keyasint"`
	Marks     uint64   `cbor:"3,keyasint"`
	Sync      []uint64 `cbor:"4,keyasint"`
}

// beat is what a partition's projector tells every node of a cluster, once a second.
// It is never stored.
type beat struct {
	Node     string `cbor:"1,keyasint"`
	Finished uint64 `cbor:"2,keyasint"` // of LOG-p
	Head     uint64 `cbor:"3,keyasint"` // LOG-p's newest, as far as it knows
	Reach    reach  `cbor:"4,keyasint"`
}

// lookMessage asks every node to look at the queues of SYNC-<Queue>, up to End at
// least. It is never stored.
type lookMessage struct {
	Queue int    `cbor:"1,keyasint"`
	End   uint64 `cbor:"2,keyasint"`
}

type result struct {
	ID      chat.MessageID `cbor:"1,keyasint"` // the command's
	First   chat.MessageID `cbor:"2,keyasint"` // the message's
	Seq     chat.Seq       `cbor:"3,keyasint,omitempty"`
	At      chat.Millis    `cbor:"4,keyasint,omitempty"`
	Retry   bool           `cbor:"5,keyasint,omitempty"`
	Refusal *refusal       `cbor:"6,keyasint,omitempty"`
}

type refusal struct {
	Kind   chat.Kind `cbor:"1,keyasint"`
	Detail string    `cbor:"2,keyasint,omitempty"`
	Field  string    `cbor:"3,keyasint,omitempty"`
	Limit  int64     `cbor:"4,keyasint,omitempty"`
}

var (
	encoding = must(cbor.EncOptions{Sort: cbor.SortNone}.UserBufferEncMode())
	decoding = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 16,
		MaxArrayElements: 1 << 16, MaxMapPairs: 1 << 10, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("jetstream: a codec's options are wrong: " + err.Error())
	}
	return v
}

// appendRecord appends the stored form of a record to b.
func appendRecord(b *bytes.Buffer, record any) error {
	if entry, ok := record.(*queueEntry); ok {
		b.Write(entry.append(b.AvailableBuffer()))
		return nil
	}
	b.WriteByte(storedVersion)
	if err := encoding.MarshalToBuffer(record, b); err != nil {
		return fmt.Errorf("encode %T: %w", record, err)
	}
	return nil
}

// encode makes the stored form of a record.
func encode(record any) ([]byte, error) {
	var b bytes.Buffer
	err := appendRecord(&b, record)
	return b.Bytes(), err
}

// decode reads a stored record. Data of another version is an error that says
// so: a newer natter wrote it.
func decode(data []byte, record any) error {
	if entry, ok := record.(*queueEntry); ok {
		return entry.parse(data, true)
	}
	if len(data) == 0 || data[0] != storedVersion {
		return versionError(data, record)
	}
	if err := decoding.Unmarshal(data[1:], record); err != nil {
		return fmt.Errorf("decode %T: %w", record, err)
	}
	return nil
}

func versionError(data []byte, record any) error {
	if len(data) == 0 {
		return fmt.Errorf("decode %T: it is empty", record)
	}
	return fmt.Errorf("decode %T: format version %d, this natter knows %d", record, data[0], storedVersion)
}
