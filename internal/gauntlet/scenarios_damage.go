//go:build linux

package gauntlet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// repaired is how long damage may last once the node that has it is back.
const repaired = 60 * time.Second

// harm is what happens to the files of one node's copy of a stream.
type harm struct {
	name   string
	change func(r *Run, block []byte) []byte
	// unsure: the start can't tell damage from what a crash leaves, and what of that NATS
	// mends by itself; the scrub has to find it.
	unsure bool
	// running: while the node runs, which then is killed; else it was stopped before. What
	// it had yet to keep of these files is written again.
	running bool
}

var harms = []harm{
	{name: "bits flipped", change: flipBits},
	{name: "the end cut off", change: cutEnd},
	{name: "bits flipped, as if in a crash, and the names of the Raft groups gone", change: flipData, unsure: true},
	{name: "bits flipped while it runs", change: flipBits, running: true},
}

// damage: the files of some streams are damaged on one node, under load; it is found,
// the node has its copies made anew by the others, and nobody sees anything of it.
func damage(r *Run) error {
	for range r.times(1) {
		for _, h := range harms {
			if err := r.calm(3*time.Second, 6*time.Second); err != nil {
				return err
			}
			if err := r.harmOne(h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Run) harmOne(h harm) error {
	victim := r.pick()
	log, err := victim.log.Stat()
	if err != nil {
		return err
	}
	from := r.crowd.record.now()
	end := r.crowd.record.mark(victim.name + ": " + h.name)
	streams, err := r.damaged(victim, h)
	if err != nil {
		return err
	}
	r.say("%s: %s, of %s", victim.name, h.name, strings.Join(streams, ", "))
	began := time.Now()
	if err := victim.start(); err != nil {
		return err
	}
	if err := victim.ready(r.ctx); err != nil {
		return err
	}
	if h.running {
		err = r.mended("every stream compared after", 0, func() error { return r.equalSince(began) })
	} else {
		err = r.mended("damaged: found, made anew and equal after", repaired, func() error { return victim.madeAnew(streams, log.Size()) })
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", victim.name, h.name, err)
	}
	if err := victim.ready(r.ctx); err != nil {
		return err
	}
	end()
	if err := r.resumes(from); err != nil {
		return err
	}
	r.figure("longest wait for an answer", r.crowd.record.gap(from, nil), failover)
	return nil
}

// damaged stops or kills a node and damages files of its.
func (r *Run) damaged(victim *node, h harm) (streams []string, err error) {
	if h.running {
		if streams, err = r.spoil(victim, h.change); err != nil {
			return nil, err
		}
		return streams, victim.kill()
	}
	if err := victim.stop(); err != nil {
		return nil, err
	}
	if h.unsure {
		err := errors.Join(os.Remove(filepath.Join(victim.opts.Data, "groups")), os.WriteFile(filepath.Join(victim.opts.Data, "running"), nil, 0o600))
		if err != nil {
			return nil, err
		}
	}
	return r.spoil(victim, h.change)
}

// spoil changes a file of each of some streams, of those whose entries all stay.
func (r *Run) spoil(victim *node, change func(r *Run, block []byte) []byte) (streams []string, err error) {
	for _, kind := range []string{"LOG-*", "SYNC-*"} {
		blocks, err := filepath.Glob(filepath.Join(victim.opts.Data, "jetstream", "jetstream", storeAccount, "streams", kind, "msgs", "*.blk"))
		if err != nil {
			return nil, err
		}
		r.random.Shuffle(len(blocks), func(i, j int) { blocks[i], blocks[j] = blocks[j], blocks[i] })
		blocks = slices.DeleteFunc(blocks, func(path string) bool {
			info, err := os.Stat(path)
			return err != nil || info.Size() < 4<<10
		})
		if len(blocks) == 0 {
			return nil, fmt.Errorf("%s has no file of %s with something in it", victim.name, kind)
		}
		block, err := os.ReadFile(blocks[0])
		if err != nil {
			return nil, err
		}
		if err := overwrite(blocks[0], change(r, bytes.Clone(block)), block); err != nil {
			return nil, err
		}
		streams = append(streams, filepath.Base(filepath.Dir(filepath.Dir(blocks[0]))))
	}
	return streams, nil
}

// overwrite makes of a file what is to be, without touching more than that: the node
// may be writing to it.
func overwrite(path string, to, from []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for i := range to {
		if to[i] != from[i] {
			if _, err = f.WriteAt(to[i:i+1], int64(i)); err != nil {
				break
			}
		}
	}
	if err == nil && len(to) < len(from) {
		err = f.Truncate(int64(len(to)))
	}
	return errors.Join(err, f.Close())
}

// flipBits flips a bit in each of some places.
func flipBits(r *Run, block []byte) []byte {
	const places = 8
	for range places {
		block[r.random.IntN(len(block))] ^= 1 << r.random.IntN(8)
	}
	return block
}

// flipData flips a bit in the last byte of some entries' data. (In their sequences it would
// stop NATS.)
func flipData(r *Run, block []byte) []byte {
	const each, sum, least = 50, 8, 30 // entries; bytes of the sum behind the data, and of a record
	for n := 0; len(block)-n >= least; {
		length := int(binary.LittleEndian.Uint32(block[n:]) &^ (1 << 31))
		if length < least || n+length > len(block) {
			break
		}
		if n += length; r.random.IntN(each) == 0 || n == length {
			block[n-sum-1] ^= 1 << r.random.IntN(8)
		}
	}
	return block
}

// cutEnd cuts off up to half.
func cutEnd(r *Run, block []byte) []byte {
	return block[:len(block)/2+r.random.IntN(len(block)/2)]
}

// mended waits until why tells nothing more, and keeps how long that took.
func (r *Run) mended(name string, limit time.Duration, why func() error) error {
	from, last := r.crowd.record.now(), errors.New("nobody asked")
	if !r.crowd.until(3*repaired, func() bool { last = why(); return last == nil }) {
		return errors.Join(fmt.Errorf("%s it still isn't mended: %w", 3*repaired, last), r.cluster.lives())
	}
	took := r.crowd.record.now() - from
	r.say("mended after %.1f s", took.Seconds())
	if limit == 0 {
		r.count(name, took)
	} else {
		r.figure(name, took, limit)
	}
	return nil
}

// madeAnew tells which of the streams the node doesn't say, behind a place in its log,
// to have set aside and found equal to the others' again.
func (n *node) madeAnew(streams []string, logged int64) error {
	text, err := os.ReadFile(n.log.Name())
	if err != nil {
		return err
	}
	for _, name := range streams {
		for _, says := range []string{"are set aside; the other nodes fill them", "is equal to the others again; what was set aside is deleted"} {
			if !slices.ContainsFunc(bytes.Split(text[logged:], []byte("\n")), func(line []byte) bool {
				return bytes.Contains(line, []byte(says)) && bytes.Contains(line, []byte(`"`+name+`"`))
			}) {
				return fmt.Errorf("%s doesn't say that its %s %s", n.name, name, says)
			}
		}
	}
	return nil
}

// equalSince tells why not every stream is known to be equal on all nodes since a time.
func (r *Run) equalSince(began time.Time) error {
	var s struct {
		Problems []string
		Scrub    *struct{ Oldest int64 }
	}
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cluster.nodes[0].now.AdminURL()+"/cluster", http.NoBody)
	if err != nil {
		return err
	}
	res, err := r.cluster.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return err
	}
	if s.Scrub == nil || s.Scrub.Oldest < began.UnixMilli() {
		s.Problems = append(s.Problems, "not all streams were compared since")
	}
	if len(s.Problems) > 0 {
		return errors.New(strings.Join(s.Problems, "; "))
	}
	return nil
}
