//go:build linux

package gauntlet

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// rangeSeqs is how many of a stream's sequences one hash covers.
const rangeSeqs = 256

// Replicas is what the comparison of the nodes' stores came to.
type Replicas struct {
	Streams  int      `json:"streams"`
	Messages uint64   `json:"messages"` // of all streams, on one node
	Differ   []string `json:"differ,omitempty"`
}

// OK tells whether they are equal.
func (r *Replicas) OK() bool { return len(r.Differ) == 0 }

// String is the comparison in a few words.
func (r *Replicas) String() string {
	if r.OK() {
		return fmt.Sprintf("equal (%d streams, %d entries)", r.Streams, r.Messages)
	}
	return fmt.Sprintf("**differ**: %s (%d differences)", r.Differ[0], len(r.Differ))
}

// digest is one node's copy of a stream.
type digest struct {
	first, last, count uint64
	unread             uint64            // of count, those that the server passes over
	ranges             map[uint64]string // of sequences from the key on
}

// passing are the streams of what ends by itself: which nodes live, who is where. What ended
// a minute ago or more, a server over a killed node's files takes for there again, in part:
// a member learns of it from its group's log, which the one that reads here doesn't have.
var passing = []string{"LEASES", "ROSTER"}

// compareStores holds the nodes' stores against each other: each stream that one
// has, every other one must have, with the same entries under the same sequences.
// No node may run. Passing streams aren't compared.
func compareStores(ctx context.Context, c *cluster) (*Replicas, error) {
	all := make([]map[string]*digest, len(c.nodes))
	names := map[string]bool{}
	for i, n := range c.nodes {
		var err error
		if all[i], err = readStore(ctx, filepath.Join(n.opts.Data, "jetstream")); err != nil {
			return nil, fmt.Errorf("the store of %s: %w", n.name, err)
		}
		for name := range all[i] {
			names[name] = !slices.Contains(passing, name)
		}
	}
	maps.DeleteFunc(names, func(_ string, lasting bool) bool { return !lasting })
	r := &Replicas{Streams: len(names)}
	if len(names) == 0 {
		return nil, errors.New("there are no streams in the stores")
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for i := range all {
			if i == 0 && all[0][name] != nil {
				r.Messages += all[0][name].count
			}
			if i > 0 {
				if d := difference(all[0][name], all[i][name]); d != "" {
					r.Differ = append(r.Differ, fmt.Sprintf("%s on %s and %s: %s", name, c.nodes[0].name, c.nodes[i].name, d))
				}
			}
		}
	}
	return r, nil
}

// newDigest is of a copy in this state, before its entries. One that never had any begins at
// 0 as it is made, and at 1 where it was restored.
func newDigest(st *jetstream.StreamState) *digest {
	d := &digest{first: st.FirstSeq, last: st.LastSeq, count: st.Msgs, ranges: map[uint64]string{}}
	if d.last == 0 {
		d.first = 0
	}
	return d
}

// difference is the first difference of two copies, "" if there is none.
func difference(a, b *digest) string {
	switch {
	case a == nil || b == nil:
		return "only one has it"
	case a.last != b.last || a.first != b.first || a.count != b.count:
		return fmt.Sprintf("%d entries %d–%d, and %d entries %d–%d", a.count, a.first, a.last, b.count, b.first, b.last)
	}
	if a.unread+b.unread > 0 {
		return fmt.Sprintf("%d and %d entries can't be read", a.unread, b.unread)
	}
	for _, from := range slices.Sorted(maps.Keys(a.ranges)) {
		if a.ranges[from] != b.ranges[from] {
			return fmt.Sprintf("sequences %d–%d", from, from+rangeSeqs-1)
		}
	}
	return ""
}

// openCopy opens a copy of a node's store, until discard: a server tidies what it opens.
func openCopy(dir string) (_ *store, discard func() error, err error) {
	draft, err := os.MkdirTemp(filepath.Dir(filepath.Dir(dir)), "compared-*")
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.RemoveAll(draft) }
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	// Of the account alone: without its own streams the server is nobody's peer.
	to := filepath.Join(draft, "jetstream", storeAccount)
	if err := os.CopyFS(to, os.DirFS(filepath.Join(dir, "jetstream", storeAccount))); err != nil {
		return nil, nil, err
	}
	if err := ofOne(filepath.Join(to, "streams")); err != nil {
		return nil, nil, err
	}
	s, err := openStore(draft)
	if err != nil {
		return nil, nil, err
	}
	return s, func() error {
		s.close()
		return remove()
	}, nil
}

// readStore hashes every stream of a store.
func readStore(ctx context.Context, dir string) (_ map[string]*digest, err error) {
	s, discard, err := openCopy(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, discard()) }()
	all := map[string]*digest{}
	list := s.js.ListStreams(ctx)
	for info := range list.Info() {
		if all[info.Config.Name], err = s.read(ctx, info); err != nil {
			return nil, fmt.Errorf("%s: %w", info.Config.Name, err)
		}
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	// What the server passes over, it says nowhere.
	dirs, err := os.ReadDir(filepath.Join(dir, "jetstream", storeAccount, "streams"))
	if err == nil && len(dirs) != len(all) {
		err = fmt.Errorf("%d streams lie there and %d could be opened", len(dirs), len(all))
	}
	return all, err
}

// ofOne makes streams of several replicas streams of one: a server alone refuses the
// others. What it keeps beside a stream's settings is their highway hash.
func ofOne(streams string) error {
	all, err := os.ReadDir(streams)
	if err != nil {
		return err
	}
	for _, dir := range all {
		meta := filepath.Join(streams, dir.Name(), "meta.inf")
		raw, err := os.ReadFile(meta)
		if err != nil {
			return err
		}
		raw = replicasOf.ReplaceAll(raw, []byte(`"num_replicas":1`))
		key := sha256.Sum256([]byte(dir.Name()))
		h, err := highwayhash.New64(key[:])
		if err != nil {
			return err
		}
		_, _ = h.Write(raw) // a hash takes all
		sum := []byte(hex.EncodeToString(h.Sum(nil)))
		if err := errors.Join(os.WriteFile(meta, raw, 0o600), os.WriteFile(filepath.Join(streams, dir.Name(), "meta.sum"), sum, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

var replicasOf = regexp.MustCompile(`"num_replicas":[0-9]+`)

// unreadAfter is how long the next entry may take, from a file of this machine.
const unreadAfter = 5 * time.Second

const storeAccount = "NATTER"

// store is a server over one node's streams, alone.
type store struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
}

func openStore(dir string) (*store, error) {
	o := &server.Options{}
	if err := o.ProcessConfigString(`accounts { SYS {}, ` + storeAccount + ` { jetstream: enabled, users: [ { user: judge, password: judge } ] } }, system_account: SYS`); err != nil {
		return nil, err
	}
	o.ServerName, o.DontListen, o.NoSigs, o.NoLog = "judge", true, true, true
	o.JetStream, o.StoreDir, o.MaxPayload = true, dir, 16<<20
	o.JetStreamMaxMemory, o.JetStreamMaxStore = 256<<20, 64<<30
	s := &store{}
	var err error
	if s.server, err = server.NewServer(o); err != nil {
		return nil, err
	}
	s.server.Start()
	if !s.server.ReadyForConnections(30*time.Second) || !s.server.JetStreamEnabled() {
		s.close()
		return nil, errors.New("NATS did not start over it")
	}
	s.conn, err = nats.Connect("", nats.InProcessServer(s.server), nats.UserInfo("judge", "judge"), nats.Timeout(10*time.Second))
	if err == nil {
		s.js, err = jetstream.New(s.conn)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *store) close() {
	if s.conn != nil {
		s.conn.Close()
	}
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// read hashes a stream's entries in ranges.
func (s *store) read(ctx context.Context, info *jetstream.StreamInfo) (*digest, error) {
	st := info.State
	d := newDigest(&st)
	var h hash.Hash
	var at uint64 // where h's range begins
	finish := func() {
		if h != nil {
			d.ranges[at] = hex.EncodeToString(h.Sum(nil))
		}
	}
	var err error
	d.unread, err = s.each(ctx, info, func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		seq := meta.Sequence.Stream
		if from := seq - seq%rangeSeqs; h == nil || from != at {
			finish()
			h, at = sha256.New(), from
		}
		sum(h, seq, meta.Timestamp, m)
	})
	if err != nil {
		return nil, err
	}
	finish()
	return d, nil
}

// each reads a stream's entries in order; unread are those that the server passes over.
func (s *store) each(ctx context.Context, info *jetstream.StreamInfo, take func(jetstream.Msg, *jetstream.MsgMetadata)) (unread uint64, err error) {
	count := info.State.Msgs
	if count == 0 {
		return 0, nil
	}
	consumer, err := s.js.OrderedConsumer(ctx, info.Config.Name, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return 0, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1000))
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	unhook := context.AfterFunc(ctx, messages.Stop)
	defer unhook()
	for n := range count {
		m, err := messages.Next(jetstream.NextMaxWait(unreadAfter))
		if errors.Is(err, nats.ErrTimeout) {
			return count - n, nil
		}
		if err != nil {
			return 0, fmt.Errorf("after %d of %d entries: %w", n, count, errors.Join(err, context.Cause(ctx)))
		}
		meta, err := m.Metadata()
		if err != nil {
			return 0, err
		}
		take(m, meta)
	}
	return 0, nil
}

// sum adds an entry to a hash, each part with its length.
func sum(h hash.Hash, seq uint64, at time.Time, m jetstream.Msg) {
	part := func(b []byte) {
		_, _ = h.Write(binary.AppendUvarint(nil, uint64(len(b)))) // a hash takes all
		_, _ = h.Write(b)
	}
	part(binary.AppendUvarint(nil, seq))
	part(binary.AppendVarint(nil, at.UnixNano()))
	part([]byte(m.Subject()))
	headers := m.Headers()
	for _, k := range slices.Sorted(maps.Keys(headers)) {
		part([]byte(k))
		for _, v := range headers[k] {
			part([]byte(v))
		}
	}
	part(m.Data())
}
