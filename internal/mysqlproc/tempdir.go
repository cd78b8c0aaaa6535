package mysqlproc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ownerFile is locked by the process a temporary folder belongs to.
const ownerFile = ".owner"

// TempDir is a folder for servers, removed by Remove. Its path is short
// because a unix socket's path may have 107 bytes only.
type TempDir struct {
	Path  string
	owner *os.File
}

// NewTempDir makes a folder and removes those that killed runs left behind.
func NewTempDir() (*TempDir, error) {
	base := os.TempDir()
	sweep(base)
	path, err := os.MkdirTemp(base, "serval-")
	if err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	owner, err := os.OpenFile(filepath.Join(path, ownerFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	lockFile(owner)
	return &TempDir{Path: path, owner: owner}, nil
}

// Remove deletes the folder and all in it.
func (t *TempDir) Remove() error {
	return errors.Join(os.RemoveAll(t.Path), t.owner.Close())
}

// sweep removes folders whose owner is gone: its lock is free. A folder that
// is being made has no owner file yet and is left alone.
func sweep(base string) {
	owners, _ := filepath.Glob(filepath.Join(base, "serval-*", ownerFile))
	for _, file := range owners {
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			continue // another user's
		}
		// Between its creation and its lock a folder looks abandoned; an
		// owner file that young is not.
		if st, err := f.Stat(); err == nil && oldEnough(st) && lockFile(f) {
			_ = os.RemoveAll(filepath.Dir(file)) // best effort: it is somebody's litter
		}
		_ = f.Close()
	}
}

// oldEnough: the owner file was made a minute ago or earlier.
func oldEnough(st os.FileInfo) bool { return time.Since(st.ModTime()) > time.Minute }
