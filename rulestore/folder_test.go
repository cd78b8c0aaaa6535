package rulestore

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func folder(t *testing.T, text string) *Folder {
	t.Helper()
	file := filepath.Join(t.TempDir(), "serval.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o640))
	return NewFolder(file)
}

func TestAFolderKeepsEveryVersion(t *testing.T) {
	f := folder(t, "first")
	_, err := f.Head(t.Context())
	require.ErrorIs(t, err, ErrEmpty)
	v, err := f.Record(t.Context(), Version{Text: "first", By: "serve", Note: "found"})
	require.NoError(t, err)
	require.Equal(t, int64(1), v.Number)
	again, err := f.Record(t.Context(), Version{Text: "first"})
	require.NoError(t, err)
	require.Equal(t, int64(1), again.Number, "the same rules are the same version")

	seen := make(chan int64, 1)
	go func() { n, _ := f.Changed(context.WithoutCancel(t.Context()), 1); seen <- n }()
	v, err = f.Apply(t.Context(), 1, Version{Text: "second", By: "dba"})
	require.NoError(t, err)
	require.Equal(t, int64(2), <-seen)
	text, err := os.ReadFile(f.file)
	require.NoError(t, err)
	require.Equal(t, "second", string(text))
	info, err := os.Stat(f.file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm(), "who may read it stays")

	_, err = f.Apply(t.Context(), 1, Version{Text: "made from the first"})
	require.Equal(t, &Conflict{Base: 1, Head: 2}, err)
	old, err := f.Version(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "first", old.Text)
	history, err := f.History(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, history, 1)
	require.Equal(t, v.Sum, history[0].Sum)
	_, err = f.Version(t.Context(), 3)
	require.ErrorContains(t, err, "no version 3 of the rules; the newest is 2")
}

func TestAChangedVersionIsNoVersion(t *testing.T) {
	f := folder(t, "first")
	_, err := f.Record(t.Context(), Version{Text: "first"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.path(1, ".yaml"), []byte("other"), 0o600))
	_, err = f.Head(t.Context())
	require.ErrorContains(t, err, "was changed after it was stored")
}

func TestACrashBeforeTheLastStepLeavesTheOldVersion(t *testing.T) {
	f := folder(t, "first")
	_, err := f.Record(t.Context(), Version{Text: "first"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.path(2, ".yaml"), []byte("half"), 0o600))
	head, err := f.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), head.Number)
	v, err := f.Apply(t.Context(), 1, Version{Text: "second"})
	require.NoError(t, err)
	require.Equal(t, int64(2), v.Number)
}

func TestOneChangeAtATime(t *testing.T) {
	f := folder(t, "first")
	_, err := f.Record(t.Context(), Version{Text: "first"})
	require.NoError(t, err)
	unlock, err := f.lock(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = f.Apply(ctx, 1, Version{Text: "second"})
	require.ErrorContains(t, err, "locked by another serval rules")
	unlock()
	_, err = f.Apply(t.Context(), 1, Version{Text: "second"})
	require.NoError(t, err)
	_, err = f.Apply(t.Context(), 2, Version{Text: string(make([]byte, MaxText+1))})
	require.ErrorContains(t, err, "at most")
}
