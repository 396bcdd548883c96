//go:build linux

package lossfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// program is somebody who uses a mounted disk with the ordinary calls.
type program struct {
	t  *testing.T
	at string
}

func (p program) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p program) path(name string) string { return filepath.Join(p.at, name) }

func (p program) write(name, text string) { p.open(name, text, os.O_TRUNC, false) }
func (p program) add(name, text string)   { p.open(name, text, os.O_APPEND, false) }
func (p program) saved(name, text string) { p.open(name, text, os.O_TRUNC, true) }

func (p program) open(name, text string, flag int, sync bool) {
	p.t.Helper()
	f, err := os.OpenFile(p.path(name), os.O_RDWR|os.O_CREATE|flag, 0o600)
	p.must(err)
	_, err = f.WriteString(text)
	p.must(err)
	if sync {
		p.must(f.Sync())
	}
	p.must(f.Close())
}

func (p program) sync(name string) {
	p.t.Helper()
	f, err := os.Open(p.path(name))
	p.must(err)
	p.must(f.Sync())
	p.must(f.Close())
}

func (p program) mkdir(name string)  { p.t.Helper(); p.must(os.Mkdir(p.path(name), 0o700)) }
func (p program) remove(name string) { p.t.Helper(); p.must(os.Remove(p.path(name))) }
func (p program) rename(a, b string) { p.t.Helper(); p.must(os.Rename(p.path(a), p.path(b))) }
func (p program) cut(name string, n int) {
	p.t.Helper()
	p.must(os.Truncate(p.path(name), int64(n)))
}

// found is everything on the disk, as "a=text b/ b/c=".
func (p program) found() string {
	p.t.Helper()
	var all []string
	p.must(filepath.WalkDir(p.at, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == p.at {
			return err
		}
		name, _ := filepath.Rel(p.at, path)
		if d.IsDir() {
			all = append(all, name+"/")
			return nil
		}
		b, err := os.ReadFile(path)
		all = append(all, name+"="+string(b))
		return err
	}))
	return strings.Join(all, " ")
}

// TestPowerFailure plants what programs do and looks at what is left.
func TestPowerFailure(t *testing.T) {
	tests := []struct {
		name      string
		do        func(p program)
		before    string // what the program saw
		posix     string // what is left
		journaled string // if it differs
	}{
		{name: "an unsynced file is gone", do: func(p program) { p.write("a", "x") }, before: "a=x"},
		{name: "a synced file in a synced directory stays", do: func(p program) { p.saved("a", "x"); p.sync(".") }, before: "a=x", posix: "a=x"},
		{name: "a synced file without a synced name", do: func(p program) { p.saved("a", "x") }, before: "a=x", journaled: "a=x"},
		{name: "a synced name of an unsynced file is empty", do: func(p program) { p.write("a", "x"); p.sync(".") }, before: "a=x", posix: "a="},
		{name: "what was added after the sync is gone", do: func(p program) { p.saved("a", "x"); p.sync("."); p.add("a", "yz") }, before: "a=xyz", posix: "a=x"},
		{name: "what was written over after the sync comes back", do: func(p program) {
			p.saved("a", "12345")
			p.sync(".")
			f, err := os.OpenFile(p.path("a"), os.O_RDWR, 0)
			p.must(err)
			_, err = f.WriteAt([]byte("abcdef"), 3)
			p.must(err)
			_, err = f.WriteAt([]byte("-"), 0)
			p.must(err)
			p.must(f.Close())
		}, before: "a=-23abcdef", posix: "a=12345"},
		{name: "an unsynced truncation comes back", do: func(p program) { p.saved("a", "12345"); p.sync("."); p.cut("a", 2) }, before: "a=12", posix: "a=12345"},
		{name: "truncated and written anew, unsynced", do: func(p program) { p.saved("a", "12345"); p.sync("."); p.write("a", "ab") }, before: "a=ab", posix: "a=12345"},
		{name: "an unsynced lengthening is gone", do: func(p program) { p.saved("a", "1"); p.sync("."); p.cut("a", 3) }, before: "a=1\x00\x00", posix: "a=1"},
		{name: "an unsynced removal comes back", do: func(p program) { p.saved("a", "x"); p.sync("."); p.remove("a") }, posix: "a=x"},
		{name: "a synced removal stays", do: func(p program) { p.saved("a", "x"); p.sync("."); p.remove("a"); p.sync(".") }},
		{name: "a rename without a sync of the directory", do: func(p program) {
			p.saved("a", "old")
			p.sync(".")
			p.saved("a.new", "new")
			p.rename("a.new", "a")
		}, before: "a=new", posix: "a=old", journaled: "a=old a.new=new"},
		{name: "a rename and a sync of the directory", do: func(p program) {
			p.saved("a", "old")
			p.sync(".")
			p.saved("a.new", "new")
			p.rename("a.new", "a")
			p.sync(".")
		}, before: "a=new", posix: "a=new"},
		{name: "renamed over, synced, and the new contents never were", do: func(p program) {
			p.saved("a", "old")
			p.write("a.new", "new")
			p.rename("a.new", "a")
			p.sync(".")
		}, before: "a=new", posix: "a="},
		{name: "a rename between directories stays in both or in none", do: func(p program) {
			p.mkdir("d")
			p.mkdir("e")
			p.sync(".")
			p.saved("d/a", "x")
			p.rename("d/a", "e/a")
			p.sync("e")
		}, before: "d/ e/ e/a=x", posix: "d/ e/ e/a=x"},
		{name: "a new directory's own name is its parent's", do: func(p program) {
			p.mkdir("d")
			p.saved("d/a", "x")
			p.sync("d")
		}, before: "d/ d/a=x", journaled: "d/ d/a=x"},
		{name: "a new directory, synced all the way up", do: func(p program) {
			p.mkdir("d")
			p.saved("d/a", "x")
			p.sync("d")
			p.sync(".")
		}, before: "d/ d/a=x", posix: "d/ d/a=x"},
		{name: "a directory removed with what is in it", do: func(p program) {
			p.mkdir("d")
			p.saved("d/a", "x")
			p.sync("d")
			p.sync(".")
			p.remove("d/a")
			p.remove("d")
		}, posix: "d/ d/a=x"},
		{name: "O_SYNC is a sync of each write", do: func(p program) {
			p.write("a", "")
			p.sync(".")
			f, err := os.OpenFile(p.path("a"), os.O_RDWR|os.O_SYNC, 0)
			p.must(err)
			_, err = f.WriteString("x")
			p.must(err)
			p.must(f.Close())
			p.add("a", "y")
		}, before: "a=xy", posix: "a=x"},
		{name: "one file's sync keeps nothing of another's contents", do: func(p program) {
			p.saved("a", "x")
			p.write("b", "y")
			p.sync(".")
			p.add("a", "z")
			p.sync("a")
		}, before: "a=xz b=y", posix: "a=xz b="},
	}
	for _, model := range []Model{Posix, Journaled} {
		t.Run(model.String(), func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					disk := New(t, model)
					p := program{t, disk.Dir}
					tt.do(p)
					if got := p.found(); got != tt.before {
						t.Fatalf("before the failure: %q, want %q", got, tt.before)
					}
					disk.PowerFail(t, Nothing, nil)
					want := tt.posix
					if model == Journaled && tt.journaled != "" {
						want = tt.journaled
					}
					if got := p.found(); got != want {
						t.Errorf("left: %q, want %q", got, want)
					}
					p.saved("afterwards", "writable")
				})
			}
		})
	}
}

// TestSomethingSurvives: with Something a file is always some first part of what
// was written, at least what was synced; parts, cuts and wholes all come up.
func TestSomethingSurvives(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	lengths := map[int]int{}
	disk := New(t, Journaled)
	p := program{t, disk.Dir}
	for round := range 60 {
		name := fmt.Sprint("f", round)
		p.saved(name, "0123")
		p.sync(".")
		for _, more := range []string{"4567", "89ab", "cdef"} {
			p.add(name, more)
		}
		disk.PowerFail(t, Something, random)
		b, err := os.ReadFile(p.path(name))
		p.must(err)
		if got := string(b); len(got) < 4 || !strings.HasPrefix("0123456789abcdef", got) {
			t.Fatalf("seed %d, round %d: %q is no first part", seed, round, got)
		}
		lengths[len(b)]++
	}
	whole, torn := lengths[16], 0
	for n, times := range lengths {
		if n%4 != 0 {
			torn += times
		}
	}
	if whole == 0 || torn == 0 || lengths[4] == 0 {
		t.Errorf("seed %d: lengths %v; wholes, cuts and nothing should all come up", seed, lengths)
	}
}

// TestAgainstAMemory lets a program do a thousand random things, with failures
// between them, and holds the disk to a second, plainer account of what must be
// left: whole copies instead of undoing.
func TestAgainstAMemory(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	disk := New(t, Posix)
	p := program{t, disk.Dir}
	type file struct{ now, kept string }
	names := map[string]*file{} // as the program sees them
	kept := map[string]*file{}  // as they are on the disk
	for step := range 1000 {
		name := fmt.Sprint("f", random.IntN(6))
		f := names[name]
		switch dice := random.IntN(20); {
		case dice < 5:
			text := strings.Repeat(string(rune('a'+step%26)), 1+random.IntN(9000))
			p.add(name, text)
			if f == nil {
				f = &file{}
				names[name] = f
			}
			f.now += text
		case f == nil:
		case dice < 7:
			n := random.IntN(len(f.now) + 1)
			p.cut(name, n)
			f.now = f.now[:n]
		case dice < 9:
			other := fmt.Sprint("f", random.IntN(6))
			p.rename(name, other)
			if other != name {
				names[other] = f
				delete(names, name)
			}
		case dice < 10:
			p.remove(name)
			delete(names, name)
		case dice < 15:
			p.sync(name)
			f.kept = f.now
		case dice < 18:
			p.sync(".")
			kept = map[string]*file{}
			for n, f := range names {
				kept[n] = f
			}
		default:
			disk.PowerFail(t, Nothing, nil)
			names = map[string]*file{}
			for n, f := range kept {
				f.now = f.kept
				names[n] = f
			}
			var want []string
			for i := range 6 {
				if n := fmt.Sprint("f", i); names[n] != nil {
					want = append(want, n+"="+names[n].now)
				}
			}
			if got := p.found(); got != strings.Join(want, " ") {
				t.Fatalf("seed %d, step %d: %d bytes are left, want %d", seed, step, len(got), len(strings.Join(want, " ")))
			}
		}
	}
	if files, _ := os.ReadDir(disk.backing); len(files) > 6+64+20 {
		t.Errorf("%d files are left in the backing directory", len(files))
	}
}

// TestFull: a disk without room takes what fits, refuses the rest, and goes on
// when there is room again.
func TestFull(t *testing.T) {
	disk := New(t, Posix)
	p := program{t, disk.Dir}
	p.saved("a", "12345")
	disk.SetFree(3)
	f, err := os.OpenFile(p.path("a"), os.O_RDWR|os.O_APPEND, 0)
	p.must(err)
	defer f.Close()
	if n, err := f.WriteString("abcdef"); n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d: %v", n, err)
	}
	if err := os.WriteFile(p.path("b"), []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("another file: %v", err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); err == nil { // O_APPEND refuses WriteAt before it is asked
		t.Error("WriteAt with O_APPEND")
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(disk.Dir, &st); err != nil || st.Bavail != 0 {
		t.Errorf("%d blocks are free: %v", st.Bavail, err)
	}
	if got := p.found(); got != "a=12345abc" {
		t.Error(got)
	}
	p.cut("a", 4) // makes room
	if _, err := f.WriteString("ABCD"); err != nil {
		t.Error(err)
	}
	disk.SetFree(-1)
	p.add("a", "!")
	p.write("b", "y")
	if got := p.found(); got != "a=1234ABCD! b=y" {
		t.Error(got)
	}
	if used := disk.Used(); used != 10 {
		t.Errorf("%d bytes are used", used)
	}
}

// TestFault: a planned error reaches the program, and nothing was done.
func TestFault(t *testing.T) {
	disk := New(t, Posix)
	p := program{t, disk.Dir}
	p.mkdir("d")
	p.saved("d/a", "x")
	p.sync("d")
	p.sync(".")
	for _, tt := range []struct {
		op Op
		do func() error
	}{
		{OpWrite, func() error { return os.WriteFile(p.path("d/a"), []byte("longer"), 0o600) }},
		{OpSync, func() error {
			f, err := os.OpenFile(p.path("d/a"), os.O_RDWR, 0)
			p.must(err)
			return errors.Join(f.Sync(), f.Close())
		}},
		{OpRename, func() error { return os.Rename(p.path("d/a"), p.path("d/b")) }},
		{OpRemove, func() error { return os.Remove(p.path("d/a")) }},
		{OpCreate, func() error { return os.WriteFile(p.path("d/c"), nil, 0o600) }},
		{OpOpen, func() error { _, err := os.ReadFile(p.path("d/a")); return err }},
		{OpResize, func() error { return os.Truncate(p.path("d/a"), 0) }},
	} {
		var calls atomic.Int64
		disk.SetFault(func(c Call) syscall.Errno {
			if c.Op == tt.op && strings.HasPrefix(c.Path, "d/") {
				calls.Add(1)
				return syscall.EIO
			}
			return 0
		})
		if err := tt.do(); !errors.Is(err, syscall.EIO) || calls.Load() == 0 {
			t.Errorf("%s: %v after %d calls", tt.op, err, calls.Load())
		}
		disk.SetFault(nil)
	}
	disk.PowerFail(t, Nothing, nil)
	if got := p.found(); got != "d/ d/a=x" {
		t.Error(got)
	}
}

// TestAnOpenFileHoldsTheDisk: the power can't fail under a program that lives.
func TestAnOpenFileHoldsTheDisk(t *testing.T) {
	disk := New(t, Posix)
	f, err := os.Create(filepath.Join(disk.Dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.unmount(); err == nil {
		t.Fatal("unmounted under an open file")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
