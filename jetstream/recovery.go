package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"natter/chat"
)

// Starting again.
//
// On a single node the projections may have lost a suffix each, not the same
// one: HISTORY-0 may end at log 95, SYNC-1 at 98, while the log, which is
// fsynced, ends at 100. A projector therefore goes back to a checkpoint and
// applies the log again from there. Three things make the result exact:
//
//  1. The state it starts from is the state of then: a room's record and last
//     entry are read as they were at the checkpoint's sequence of HISTORY.
//  2. What survived is not written again: every entry carries the log sequence
//     (Upto) to which its subject is complete, and a stream only ever loses a
//     suffix (mend.go sees to that), so reading each stream from the checkpoint
//     on tells, for each subject, where writing begins.
//  3. The client_id window is the one of then: what was sent before the
//     checkpoint, and may be sent again after it, is read from records written with
//     it (window.go), and from history where there are none.
//
// In numbers: the checkpoint says log 80, HISTORY-0 at 700, SYNC-1 at 900. The
// survey finds msg.0.R with Upto 95 and sync.1.alice with Upto 90. The batches
// 81 to 100 are applied; of R's messages those of 96 to 100 are written, of
// alice's events those of 91 to 100.
type recovery struct {
	base checkpoint
	// horizon is the log's last sequence when the survey was made: what comes
	// later can't have been projected.
	horizon uint64
	// ends are where the streams ended then: all that survived of the log up to the
	// horizon lies at or before them. So they belong to the checkpoint at the
	// horizon, and before it there can be none: what survived of later batches
	// stands before what is written again of earlier ones.
	ends checkpoint
	// complete: everything of the log up to here is known to be projected.
	complete uint64
	history  map[string]uint64
	queues   map[chat.UserID]uint64
	// witness is the message at base.History, in a cluster: a replica that shows it
	// knows everything before it.
	witness stored
}

// checkpointsKept must reach back further than the window; see reachBack.
const checkpointsKept = 128

// reachBack is how much log a projector applies again: all the client_id window
// remembers, which is far more than how long a projection may stay unsynced, and
// half a minute for the clocks.
const reachBack = (chat.WindowKept + 30_000) / hasten

func (r *recovery) hasHistory(subject string, log uint64) bool {
	return log <= r.complete || log <= r.horizon && log <= r.history[subject]
}

func (r *recovery) hasQueue(u chat.UserID, log uint64) bool {
	return log <= r.complete || log <= r.horizon && log <= r.queues[u]
}

// replaying tells whether log lies in what is applied again.
func (r *recovery) replaying(log uint64) bool { return log <= r.horizon }

// survey finds out, for the given partitions, where to begin and what survived.
func (s *Store) survey(ctx context.Context, clean bool, partitions ...int) (map[int]*recovery, error) {
	recovered := make(map[int]*recovery)
	unsure := make(map[int]*recovery)
	for _, p := range partitions {
		r, err := s.surveyLog(ctx, p, clean)
		if err != nil {
			return nil, fmt.Errorf("survey of partition %d: %w", p, err)
		}
		failpoint("survey.log")
		if recovered[p] = r; r.complete < r.horizon && r.base.Log < r.horizon {
			unsure[p] = r
		}
	}
	if s.projectors == nil && s.o.Replicas == 1 { // at the start; later there are no holes
		if err := s.mend(ctx, unsure); err != nil {
			return nil, err
		}
		if err := s.beginAgain(ctx, unsure); err != nil {
			return nil, err
		}
	}
	if err := s.surveyEnds(ctx, recovered); err != nil {
		return nil, err
	}
	for p, r := range unsure {
		if err := s.surveyHistory(ctx, p, r); err != nil {
			return nil, err
		}
		failpoint("survey.history")
	}
	for q := range s.o.Partitions {
		if err := s.surveyQueues(ctx, q, unsure); err != nil {
			return nil, err
		}
		failpoint("survey.queues")
	}
	return recovered, nil
}

// surveyLog chooses where a partition begins.
func (s *Store) surveyLog(ctx context.Context, p int, clean bool) (*recovery, error) {
	first, last, err := s.bounds(ctx, numbered(streamLog, p))
	if err != nil {
		return nil, err
	}
	kept, err := s.checkpoints(ctx, p)
	if err != nil {
		return nil, err
	}
	base := chooseBase(kept, first, s.o.Partitions)
	if s.clustered() {
		base = newestBase(standing(kept), first, s.o.Partitions)
	}
	r := &recovery{horizon: last, base: base, history: map[string]uint64{}, queues: map[chat.UserID]uint64{}}
	if s.clustered() && base.History > 0 {
		r.witness, err = s.leaderGet(ctx, numbered(streamHistory, p), ask{Seq: base.History})
		if err != nil && !errors.Is(err, errNone) { // gone only by an operator's hand
			return nil, err
		}
	}
	if newest := len(kept) - 1; clean && newest >= 0 && kept[newest].Log == last && len(kept[newest].Sync) == s.o.Partitions {
		// Nothing is missing, so nothing is applied again.
		r.base, r.complete = kept[newest], last
	}
	r.base.Again = false // what is kept after it stands
	return r, nil
}

// surveyEnds notes where the streams end, after all deletions.
func (s *Store) surveyEnds(ctx context.Context, recovered map[int]*recovery) error {
	sync := make([]uint64, s.o.Partitions)
	for q := range sync {
		var err error
		if _, sync[q], err = s.bounds(ctx, numbered(streamSync, q)); err != nil {
			return err
		}
	}
	for p, r := range recovered {
		_, history, err := s.bounds(ctx, numbered(streamHistory, p))
		if err != nil {
			return err
		}
		r.ends = checkpoint{Log: r.horizon, History: history, Sync: sync}
	}
	return nil
}

// surveyHistory finds what survived of a partition's history.
func (s *Store) surveyHistory(ctx context.Context, p int, r *recovery) error {
	return s.scan(ctx, numbered(streamHistory, p), r.base.History+1, func(m stored) error {
		var head struct {
			Upto uint64 `cbor:"1,keyasint"`
		}
		if err := decode(m.Data, &head); err != nil {
			return err
		}
		r.history[m.Subject] = max(r.history[m.Subject], head.Upto)
		return nil
	})
}

// surveyQueues finds what survived of every partition's events in SYNC-q, which
// they all write to, in one pass.
func (s *Store) surveyQueues(ctx context.Context, q int, unsure map[int]*recovery) error {
	if len(unsure) == 0 {
		return nil
	}
	from := ^uint64(0)
	for _, r := range unsure {
		from = min(from, r.base.Sync[q]+1)
	}
	skip := len(subjectSync(q, ""))
	return s.scan(ctx, numbered(streamSync, q), from, func(m stored) error {
		var head queueEntry
		if err := head.parse(m.Data, false); err != nil {
			return err
		}
		if r := unsure[head.Partition]; r != nil {
			u := chat.UserID(m.Subject[skip:])
			r.queues[u] = max(r.queues[u], head.Upto)
		}
		return nil
	})
}

// chooseBase picks the newest checkpoint that lies reachBack before the last
// one; failing that, the beginning, or the oldest whose log is still there.
func chooseBase(kept []checkpoint, first uint64, partitions int) checkpoint {
	base := checkpoint{Sync: make([]uint64, partitions)}
	if len(kept) == 0 {
		return base
	}
	var newestAt chat.Millis // of those that don't count any more, too
	for _, c := range kept {
		newestAt = max(newestAt, c.At)
	}
	kept = standing(kept)
	newest := kept[len(kept)-1]
	for _, c := range kept {
		if len(c.Sync) == partitions && c.At <= newestAt-reachBack {
			base = c
		}
	}
	if base.Log+1 >= first || first == 0 {
		return base
	}
	for _, c := range kept {
		if len(c.Sync) == partitions && c.Log+1 >= first {
			return c
		}
	}
	return newest
}

// newestBase is where a cluster's projector begins: nothing that was acknowledged is
// ever lost there, so the newest checkpoint holds.
func newestBase(kept []checkpoint, first uint64, partitions int) checkpoint {
	for i := len(kept) - 1; i >= 0; i-- {
		if c := kept[i]; len(c.Sync) == partitions && c.Log+1 >= first {
			return c
		}
	}
	return checkpoint{Sync: make([]uint64, partitions)}
}

// standing leaves out the checkpoints that an unclean start made void.
//
//	80  90  100 | a crash takes 95 … 100 back | 80 again | 105
//
// History as of the checkpoint at 90 or 100 isn't what it was any more, because what
// was lost, or deleted behind a hole, was written again at other sequences.
func standing(kept []checkpoint) []checkpoint {
	var stand []checkpoint
	for _, c := range kept {
		if c.Again {
			stand = slices.DeleteFunc(stand, func(old checkpoint) bool { return old.Log > c.Log })
		}
		stand = append(stand, c)
	}
	return stand
}

// beginAgain notes where an unclean start begins, before anything is written.
func (s *Store) beginAgain(ctx context.Context, unsure map[int]*recovery) error {
	for p, r := range unsure {
		c := r.base
		c.Again = true
		data, err := encode(&c)
		if err != nil {
			return err
		}
		if _, err := s.js.Publish(ctx, subjectCheckpoint(p), data); err != nil {
			return fmt.Errorf("note where partition %d begins again: %w", p, err)
		}
		failpoint("survey.again")
	}
	return nil
}

// checkpoints lists a partition's checkpoints, oldest first.
func (s *Store) checkpoints(ctx context.Context, p int) ([]checkpoint, error) {
	found, err := s.reader.many(ctx, streamCheckpoint, ask{Seq: 1, NextFor: subjectCheckpoint(p), Batch: 2 * checkpointsKept})
	if err != nil {
		return nil, err
	}
	kept := make([]checkpoint, len(found.Messages))
	for i, m := range found.Messages {
		if err := decode(m.Data, &kept[i]); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// scan reads a whole stream from a sequence on.
func (s *Store) scan(ctx context.Context, stream string, from uint64, each func(stored) error) error {
	for {
		found, err := s.reader.many(ctx, stream, ask{Seq: from, NextFor: ">", Batch: 1000, MaxBytes: 8 << 20})
		if err != nil {
			return err
		}
		for _, m := range found.Messages {
			from = m.Sequence + 1
			if isFence(m.Subject) {
				continue
			}
			if err := each(m); err != nil {
				return fmt.Errorf("%s at %d: %w", stream, m.Sequence, err)
			}
		}
		if !found.More || len(found.Messages) == 0 {
			return nil
		}
	}
}

// bounds are a stream's first and last sequence; an empty stream's first is one
// above its last.
func (s *Store) bounds(ctx context.Context, stream string) (first, last uint64, err error) {
	var st jetstream.Stream
	patience := answerSoon
	look := func() error {
		trying, cancel := ctx, context.CancelFunc(func() {})
		if s.clustered() { // whom it was sent to may be gone
			trying, cancel = context.WithTimeout(ctx, patience)
			patience = min(2*patience, answerLate)
		}
		defer cancel()
		st, err = s.js.Stream(trying, stream)
		return err
	}
	if err = look(); err != nil && s.clustered() {
		// A server that has just joined may not know the stream yet, and a stream
		// may be between two leaders.
		waiting, cancel := context.WithTimeout(ctx, persistFor)
		err = s.until(waiting, "waiting for the state of "+stream, look)
		cancel()
	}
	if err != nil {
		return 0, 0, unavailable("state of", stream, err)
	}
	state := st.CachedInfo().State
	return state.FirstSeq, state.LastSeq, nil
}

// epochs is the list of unclean starts: Starts[q] of epoch i+1 is the sequence
// SYNC-q ended at when it opened. It is stored as JSON: it is written once a
// start and read by people who look for what happened.
type epochs struct {
	List []epoch `json:"epochs"`
}

type epoch struct {
	Number uint64   `json:"number"`
	Starts []uint64 `json:"starts"`
}

// epochsKept bounds the list; a cursor of an older epoch is answered with reset.
const epochsKept = 256

// openEpochs loads the list and opens a new epoch if the last stop was unclean.
func (s *Store) openEpochs(ctx context.Context) error {
	kept := s.Records("store")
	for {
		value, revision, err := kept.Get(ctx, "epochs")
		switch {
		case err == nil:
			if s.epochs, err = parseEpochs(value, s.o.Partitions); err != nil {
				return err
			}
			if s.o.Clean && len(s.epochs.List) > 0 || s.clustered() {
				return nil
			}
		case chat.KindOf(err) != chat.KindNotFound:
			return err
		}
		next, err := s.nextEpoch(ctx)
		if err != nil {
			return err
		}
		if value, err = json.Marshal(next); err != nil {
			return err
		}
		failpoint("epoch.measured")
		_, err = kept.Put(ctx, "epochs", value, revision)
		failpoint("epoch.stored")
		// The nodes of a new cluster all try; one makes it, for all.
		if chat.KindOf(err) != chat.KindConflict {
			s.epochs = next
			return err
		}
	}
}

// nextEpoch is the list with one more.
func (s *Store) nextEpoch(ctx context.Context) (epochs, error) {
	next := epoch{Number: s.epochs.current() + 1}
	for q := range s.o.Partitions {
		_, last, err := s.bounds(ctx, numbered(streamSync, q))
		if err != nil {
			return epochs{}, err
		}
		next.Starts = append(next.Starts, last)
	}
	list := append(append([]epoch(nil), s.epochs.List...), next)
	return epochs{List: list[max(0, len(list)-epochsKept):]}, nil
}

// parseEpochs reads the stored list.
func parseEpochs(value []byte, partitions int) (e epochs, err error) {
	if err := json.Unmarshal(value, &e); err != nil {
		return e, fmt.Errorf("the list of epochs: %w", err)
	}
	for _, one := range e.List {
		if len(one.Starts) != partitions {
			return e, fmt.Errorf("the list of epochs: number %d has %d starts, not %d", one.Number, len(one.Starts), partitions)
		}
	}
	return e, nil
}

func (e *epochs) current() uint64 {
	if len(e.List) == 0 {
		return 0
	}
	return e.List[len(e.List)-1].Number
}

var errEpochUnknown = errors.New("the cursor's epoch is not known any more")

// clamp brings a cursor of an older epoch back to where the epochs after it
// began: beyond that its entries were taken back.
func (e *epochs) clamp(c chat.Cursor, q int) (chat.Cursor, error) {
	if c.Epoch == e.current() {
		return c, nil
	}
	if c.Epoch > e.current() || len(e.List) > 0 && c.Epoch+1 < e.List[0].Number {
		return c, errEpochUnknown
	}
	for _, later := range e.List {
		if later.Number > c.Epoch && c.Seq > later.Starts[q] {
			c.Seq, c.Place = later.Starts[q], 0
		}
	}
	c.Epoch = e.current()
	return c, nil
}
