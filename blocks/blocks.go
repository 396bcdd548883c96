// Package blocks reads the files in which JetStream keeps a stream's entries, as far as
// is needed to tell whether they still are what was written. It knows the format of
// nats-server 2.10 to 2.15, without encryption and compression, which natter doesn't use.
//
//	length  4 bytes, of the whole record; the highest bit says that it has headers
//	seq     8 bytes; the two highest bits say that it was erased, or that another was
//	time    8 bytes
//	        2 bytes, the subject's length
//	subject
//	        4 bytes, the headers' length, if it has headers
//	headers and data
//	sum     8 bytes, of seq, time, subject, headers and data; not of their lengths
package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/minio/highwayhash"
)

const (
	head     = 22 // bytes before the subject
	sumBytes = highwayhash.Size64
	flag     = 1 << 31 // of the length: it has headers
	flags    = 3 << 62 // of the sequence
	most     = 32 << 20
)

// Check reads the file of a stream that has an index in its name and returns the highest
// sequence up to the first record that isn't as it was written. An empty file is right.
func Check(stream string, index uint32, file []byte) (last uint64, right bool) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, index))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic("blocks: a key of 32 bytes is refused: " + err.Error())
	}
	for len(file) > 0 {
		record, ok := first(file)
		if !ok {
			return last, false
		}
		h.Reset()
		_, _ = h.Write(record[4:20]) // a hash takes all
		for _, part := range record.summed() {
			_, _ = h.Write(part)
		}
		if !bytes.Equal(h.Sum(nil), record[len(record)-sumBytes:]) {
			return last, false
		}
		last = max(last, record.seq())
		file = file[len(record):]
	}
	return last, true
}

// record is one, whole.
type record []byte

// first is the first record of file; false if its lengths make no sense.
func first(file []byte) (record, bool) {
	if len(file) < head+sumBytes {
		return nil, false
	}
	length := int(binary.LittleEndian.Uint32(file) &^ flag)
	if length > len(file) || length > most {
		return nil, false
	}
	r := record(file[:max(length, 0)])
	if length < head+sumBytes || length < r.beforeData()+sumBytes {
		return nil, false
	}
	return r, true
}

// FirstSeq is the sequence of the first record of a file that begins with b; false if b is
// too short to tell.
func FirstSeq(b []byte) (seq uint64, ok bool) {
	if len(b) < SeqBytes {
		return 0, false
	}
	return record(b).seq(), true
}

// SeqBytes is how much of a file FirstSeq wants.
const SeqBytes = 12

func (r record) subject() int { return int(binary.LittleEndian.Uint16(r[20:])) }

// beforeData is how much lies before headers and data.
func (r record) beforeData() int {
	if binary.LittleEndian.Uint32(r)&flag != 0 {
		return head + r.subject() + 4
	}
	return head + r.subject()
}

// summed are the parts that the sum is of, after sequence and time.
func (r record) summed() [2][]byte {
	return [2][]byte{r[head : head+r.subject()], r[r.beforeData() : len(r)-sumBytes]}
}

func (r record) seq() uint64 { return binary.LittleEndian.Uint64(r[4:]) &^ uint64(flags) }
