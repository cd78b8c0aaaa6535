package rulestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Folder keeps versions beside a configuration file: serval.yaml.versions/
// holds 000007.yaml, the text, and 000007.json, what is said of it. The .json
// is written last: a version is there when it is. The version in effect is the
// newest one; Apply then replaces the configuration file too.
type Folder struct {
	file string
	now  func() time.Time
}

var _ Store = (*Folder)(nil)

// NewFolder is the store of a configuration file. Nothing is touched until
// something is stored.
func NewFolder(file string) *Folder { return &Folder{file: file, now: time.Now} }

func (f *Folder) dir() string { return f.file + ".versions" }

func (f *Folder) path(number int64, ext string) string {
	return filepath.Join(f.dir(), fmt.Sprintf("%06d%s", number, ext))
}

// Head is the newest version.
func (f *Folder) Head(ctx context.Context) (Version, error) {
	n, err := f.head()
	if err != nil {
		return Version{}, err
	}
	return f.Version(ctx, n)
}

// head is the newest version's number, or ErrEmpty.
func (f *Folder) head() (int64, error) {
	numbers, err := f.numbers()
	if err != nil {
		return 0, err
	}
	if len(numbers) == 0 {
		return 0, ErrEmpty
	}
	return numbers[len(numbers)-1], nil
}

// numbers of the versions, ascending.
func (f *Folder) numbers() ([]int64, error) {
	entries, err := os.ReadDir(f.dir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), ".json")
		if n, err := strconv.ParseInt(name, 10, 64); is && err == nil && n > 0 {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Version reads one version.
func (f *Folder) Version(_ context.Context, number int64) (Version, error) {
	v, err := f.described(number)
	if errors.Is(err, fs.ErrNotExist) {
		head, err := f.head()
		if err != nil {
			return Version{}, err
		}
		return Version{}, unknownVersion(number, head)
	}
	if err != nil {
		return Version{}, err
	}
	text, err := os.ReadFile(f.path(number, ".yaml"))
	if err != nil {
		return Version{}, err
	}
	v.Text = string(text)
	if SumOf(v.Text) != v.Sum {
		return Version{}, fmt.Errorf("%s was changed after it was stored; restore it, or remove it and its .json", f.path(number, ".yaml"))
	}
	return v, nil
}

func (f *Folder) described(number int64) (v Version, err error) {
	data, err := os.ReadFile(f.path(number, ".json"))
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("%s: %w", f.path(number, ".json"), err)
	}
	return v, nil
}

// History lists the versions, the newest first.
func (f *Folder) History(_ context.Context, limit int) ([]Version, error) {
	numbers, err := f.numbers()
	if err != nil {
		return nil, err
	}
	slices.Reverse(numbers)
	out := []Version{}
	for _, n := range numbers[:min(limit, len(numbers))] {
		v, err := f.described(n)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Apply stores v and makes the configuration file the same. A running Serval
// sees the new version in the folder (Changed) and reads the file again.
func (f *Folder) Apply(ctx context.Context, base int64, v Version) (Version, error) {
	return f.apply(ctx, base, v, true)
}

// Record stores what the configuration file holds already, unless the newest
// version is the same; it returns the version that is.
func (f *Folder) Record(ctx context.Context, v Version) (Version, error) {
	head, err := f.Head(ctx)
	switch {
	case errors.Is(err, ErrEmpty):
	case err != nil:
		return Version{}, err
	case head.Sum == SumOf(v.Text):
		return head, nil
	}
	return f.apply(ctx, head.Number, v, false)
}

func (f *Folder) apply(ctx context.Context, base int64, v Version, replace bool) (Version, error) {
	unlock, err := f.lockFree(ctx)
	if err != nil {
		return Version{}, err
	}
	defer unlock()
	head, err := f.head()
	if err != nil && !errors.Is(err, ErrEmpty) {
		return Version{}, err
	}
	if head != base {
		return Version{}, &Conflict{Base: base, Head: head}
	}
	if v, err = complete(base, v, f.now()); err != nil {
		return Version{}, err
	}
	if base > 0 {
		before, err := f.described(base)
		if err != nil {
			return Version{}, err
		}
		v.Floors = before.Floors
	}
	return v, f.put(v, replace)
}

// put stores a complete version, which is in effect then.
func (f *Folder) put(v Version, replace bool) error {
	described := v
	described.Text = ""
	data, err := json.MarshalIndent(described, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(f.path(v.Number, ".yaml"), []byte(v.Text), 0o600); err != nil {
		return err
	}
	// The file first: a Serval that sees the new version reads it.
	if replace {
		if err := f.replace(v.Text); err != nil {
			return err
		}
	}
	if err := writeFile(f.path(v.Number, ".json"), data, 0o600); err != nil {
		return fmt.Errorf("%s holds the new rules, but their version could not be stored: %w", f.file, err)
	}
	return nil
}

// replace makes text the configuration file's, in one step. Where the file is
// a link, it is what it points to that is replaced.
func (f *Folder) replace(text string) error {
	file, err := filepath.EvalSymlinks(f.file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	return writeFile(file, []byte(text), info.Mode().Perm())
}

// lock keeps other processes from storing at the same time.
func (f *Folder) lock(ctx context.Context) (unlock func(), err error) {
	l, err := os.OpenFile(filepath.Join(f.dir(), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = l.Close() } // closing ends the lock
	for {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, fmt.Errorf("%s is locked by another serval rules: %w", f.dir(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writeFile writes beside and renames, so that a reader sees all or nothing and
// a crash leaves the old file.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".serval-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// Newer is the newest version where that is newer than known, else 0.
func (f *Folder) Newer(known int64) int64 {
	if n, err := f.head(); err == nil && n > known {
		return n
	}
	return 0
}

// Changed waits until a version newer than known is stored, and returns its
// number. Known is 0 for none. It looks twice a second; the error is ctx's.
func (f *Folder) Changed(ctx context.Context, known int64) (int64, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if n := f.Newer(known); n > 0 {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}

// Close does nothing.
func (f *Folder) Close() error { return nil }
