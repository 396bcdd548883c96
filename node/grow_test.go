package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natter/config"
)

// What can't become a cluster is refused before anything is written, with a line that
// says what to do.
func TestWhatCantGrow(t *testing.T) {
	c := newCluster(t)
	old := settings(t, filepath.Join(c.dir, "old"))
	old.Partitions = 1
	n, err := Start(t.Context(), old, quiet(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	crashed := filepath.Join(c.dir, "crashed")
	if err := os.CopyFS(crashed, os.DirFS(old.Data)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(crashed, runningFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(c.dir, "elsewhere")
	grownInto(t, old.Data, elsewhere, "0123456789abcdef")
	members := filepath.Join(c.dir, "members")
	d, err := openDirectory(members, identity{Name: "a", Partitions: 1, Cluster: true, ClusterName: "other", ClusterID: "0123456789abcdef"}, n.since.Time())
	if err != nil {
		t.Fatal(err)
	}
	_ = d.close()
	like := func(change func(*config.Config)) *config.Config {
		s := *c.all[0]
		change(&s)
		return &s
	}
	same := func(*config.Config) {}
	grow := func(s *config.Config, from string) error {
		_, err := Grow(t.Context(), s, from, quiet(t), func(text string) { t.Log(text) })
		return err
	}
	var data *DataError
	for says, from := range map[string]string{
		"was not stopped in order":       crashed,
		"it isn't the store of a node":   filepath.Join(c.dir, "none"),
		`belongs to the cluster "other"`: members,
		`has grown into the cluster`:     elsewhere,
	} {
		if err := grow(like(same), from); !errors.As(err, &data) || !strings.Contains(err.Error(), says) {
			t.Errorf("%T: %v; want %q", err, err, says)
		}
	}
	if err := grow(like(func(s *config.Config) { s.Data = old.Data }), old.Data); !errors.As(err, &data) || !strings.Contains(err.Error(), "is this member's own") {
		t.Errorf("%v", err)
	}
	var setting *config.Error
	for says, s := range map[string]*config.Config{
		"cluster: must be set":     like(func(s *config.Config) { s.Cluster, s.ClusterListen, s.ClusterCerts = nil, "", "" }),
		"partitions: must be 1":    like(func(s *config.Config) { s.Partitions = 2 }),
		`node.crt: is of the node`: like(func(s *config.Config) { s.ClusterCerts = c.all[1].ClusterCerts }),
	} {
		if err := grow(s, old.Data); !errors.As(err, &setting) || !strings.Contains(err.Error(), says) {
			t.Errorf("%T: %v; want %q", err, err, says)
		}
	}

	// The other members tell what they are.
	c.all[1].Partitions = 2
	b, third := c.start(c.all[1]), c.start(c.all[2])
	if err := grow(like(same), old.Data); !errors.As(err, &setting) || !strings.Contains(err.Error(), "partitions: must be 1 for every member, as the old store was made with; b was started with 2") {
		t.Errorf("%v", err)
	}
	for _, one := range []*starting{b, third} {
		one.cancel()
		<-one.done
	}
	// None of it changed the old store.
	if n, err = Start(t.Context(), old, quiet(t), nil); err != nil {
		t.Fatal(err)
	}
	stop(t, n)
}

// grownInto copies a store and marks the copy.
func grownInto(t *testing.T, from, to, cluster string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	d := &directory{path: to}
	made, err := d.identity()
	if err != nil {
		t.Fatal(err)
	}
	made.Grown = grown{ClusterName: "natter", ClusterID: cluster, At: made.Created}
	if err := d.make(made); err != nil {
		t.Fatal(err)
	}
}
