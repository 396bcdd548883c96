package jetstream

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Holes.
//
// That a projection only ever loses a suffix is true of each of its files. A
// stream that went on to its next file in the second before a power failure may
// come back with the end of the one gone and the beginning of the next there,
// because nothing says in which order the kernel writes two files:
//
//	SYNC-0:   1 … 1566 | gone: 1567 … 2778 | 2779 … 2830
//
// Bob's last entry says that his queue is complete to log 95, and the entry for
// log 90 is gone. So before the survey what stands behind a hole is deleted: then
// it is a suffix that was lost, which is made again behind 2830, in its order. No
// cursor needs to change: whatever place a device has in 1567 … 2830, all of it
// follows.
//
// Nothing else is ever deleted from HISTORY and SYNC but their oldest, so a hole
// that stays is one that was mended. Which those are is noted. The deletions are
// as durable as the stream, less than the note: a noted hole counts only while all
// of it is gone.

// span is a hole with what stood behind it, both ends included.
type span struct{ From, To uint64 }

// spansNoted bounds the note for each stream; a hole is looked for only where the
// log is applied again, so older ones don't matter.
const spansNoted = 16

// mend makes a suffix of every hole in what the given partitions will write again. The
// reader is told in which streams there ever was one.
func (s *Store) mend(ctx context.Context, unsure map[int]*recovery) error {
	noted, revision, err := s.mended(ctx)
	if err != nil {
		return err
	}
	s.reader.holed = make(holed, len(noted))
	for stream := range noted {
		s.reader.holed[stream] = true
	}
	behind := map[string]uint64{} // by stream: holes at or before it are none of ours
	for p, r := range unsure {
		behind[numbered(streamHistory, p)] = r.base.History
		for q, n := range r.base.Sync {
			stream := numbered(streamSync, q)
			behind[stream] = max(behind[stream], n)
		}
	}
	changed := false
	for stream, from := range behind {
		found, err := s.mendStream(ctx, stream, from, noted[stream])
		if err != nil {
			return fmt.Errorf("mend %s: %w", stream, err)
		}
		if found != nil {
			changed = true
			spans := append(noted[stream], *found)
			noted[stream] = spans[max(0, len(spans)-spansNoted):]
			s.reader.holed[stream] = true
		}
	}
	if !changed {
		return nil
	}
	value, err := json.Marshal(noted)
	if err != nil {
		return err
	}
	_, err = s.Records("store").Put(ctx, "mended", value, revision)
	failpoint("mend.noted")
	return err
}

// mended reads the note of mended holes, by stream, and its revision.
func (s *Store) mended(ctx context.Context) (noted map[string][]span, revision uint64, err error) {
	noted = map[string][]span{}
	value, revision, err := s.Records("store").Get(ctx, "mended")
	if err == nil {
		err = json.Unmarshal(value, &noted)
	}
	if err != nil && chat.KindOf(err) != chat.KindNotFound {
		return nil, 0, fmt.Errorf("the note of mended holes: %w", err)
	}
	return noted, revision, nil
}

// mendStream deletes what stands behind the first hole after from; nil if there
// is none.
func (s *Store) mendStream(ctx context.Context, name string, from uint64, noted []span) (*span, error) {
	stream, err := s.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil || info.State.NumDeleted == 0 {
		return nil, err
	}
	gone := make(map[uint64]bool, len(info.State.Deleted))
	for _, n := range info.State.Deleted {
		gone[n] = true
	}
	hole := span{To: info.State.LastSeq}
	if hole.From = firstHole(gone, noted, max(from+1, info.State.FirstSeq), hole.To); hole.From == 0 {
		return nil, nil
	}
	failpoint("mend.found")
	s.log.Warn("a crash left a hole; what stands behind it is made again", "stream", name, "from", hole.From, "to", hole.To)
	for n := hole.From; n <= hole.To; n++ {
		if !gone[n] {
			if err := stream.DeleteMsg(ctx, n); err != nil {
				return nil, err
			}
			failpoint("mend.deleted")
		}
	}
	failpoint("mend.emptied")
	return &hole, nil
}

// firstHole is the first sequence from first to last, both included, that is gone
// and in no hole that was mended and is gone as a whole; 0 if there is none.
func firstHole(gone map[uint64]bool, noted []span, first, last uint64) uint64 {
	mended := map[uint64]bool{}
	for _, m := range noted {
		n := m.From
		for n <= m.To && gone[n] {
			n++
		}
		if n <= m.To {
			continue // not all of it
		}
		for n := m.From; n <= m.To; n++ {
			mended[n] = true
		}
	}
	for n := first; n <= last; n++ {
		if gone[n] && !mended[n] {
			return n
		}
	}
	return 0
}
