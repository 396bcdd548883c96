// Package builds makes other natters than this tree's: of an earlier commit, and of this
// tree with a word of its source, or Go's, changed. It doesn't know testing, and needs
// the go command; earlier commits need git and its history.
package builds

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root is the module's directory: where the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// PreviousEnv names a commit that is to be taken for the one before.
const PreviousEnv = "PREVIOUS_COMMIT"

// Previous is the commit whose natter is the one before this tree's: the last one of
// main, or, if this tree is that one, the one before it. An error says why there is none,
// as in a copy without history.
func Previous(ctx context.Context, root string) (string, error) {
	if commit := os.Getenv(PreviousEnv); commit != "" {
		return git(ctx, root, "rev-parse", "--verify", commit+"^{commit}")
	}
	head, err := git(ctx, root, "rev-parse", "--verify", "HEAD^{commit}")
	if err != nil {
		return "", err
	}
	for _, main := range []string{"origin/main", "main"} {
		base, err := git(ctx, root, "merge-base", "HEAD", main)
		if err == nil && base != head {
			return base, nil
		}
	}
	if changed, err := git(ctx, root, "status", "--porcelain", "--untracked-files=no", "--", "*.go", "go.mod"); err == nil && changed != "" {
		return head, nil
	}
	return git(ctx, root, "rev-parse", "--verify", "HEAD~1^{commit}")
}

func git(ctx context.Context, root string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...).Output()
	if err != nil {
		why := err.Error()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			why = strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("git %s: %s", args[0], why)
	}
	return strings.TrimSpace(string(out)), nil
}

// Commit builds the natter of a commit of root's history into the file out, without the
// web app.
func Commit(ctx context.Context, root, commit, out string) error {
	dir, err := os.MkdirTemp("", "natter-commit-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is only in the way
	archive := exec.CommandContext(ctx, "git", "-C", root, "archive", "--format=tar", commit)
	pipe, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	if err := archive.Start(); err != nil {
		return err
	}
	err = unpack(pipe, dir)
	if ended := archive.Wait(); err != nil || ended != nil {
		return fmt.Errorf("git archive %s: %w", commit, errors.Join(err, ended))
	}
	return build(ctx, dir, out)
}

// unpack writes the regular files of an archive below dir.
func unpack(r io.Reader, dir string) error {
	for all := tar.NewReader(r); ; {
		h, err := all.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%q is not below the archive's root", h.Name)
		}
		path := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(h.Mode).Perm()|0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, all)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// Change is a piece of a source file, which must be there once, and what stands in its
// place. From nothing it is a new file.
type Change struct{ File, From, To string }

// Changed builds this tree with some changes into the file out. Files are those of root,
// or absolute; args are more of go build.
func Changed(ctx context.Context, root, out string, changes []Change, args ...string) error {
	dir, err := os.MkdirTemp("", "natter-changed-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is only in the way
	list, err := overlay(root, dir, changes)
	if err != nil {
		return err
	}
	return build(ctx, root, out, append([]string{"-overlay", list}, args...)...)
}

// overlay writes changed files, and the list of them that go build takes, into dir.
func overlay(root, dir string, changes []Change) (list string, err error) {
	replace := map[string]string{}
	for i, c := range changes {
		file := c.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(root, file)
		}
		text := c.To
		if c.From != "" {
			before, err := os.ReadFile(cmp.Or(replace[file], file))
			if err != nil {
				return "", err
			}
			if n := strings.Count(string(before), c.From); n != 1 {
				return "", fmt.Errorf("%s has %q %d times, not once", file, c.From, n)
			}
			text = strings.Replace(string(before), c.From, c.To, 1)
		}
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, b, 0o600)
}

func build(ctx context.Context, dir, out string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-buildvcs=false", "-o", out}, args...), ".")...)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, said)
	}
	return nil
}
