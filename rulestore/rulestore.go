// Package rulestore keeps every version of the rules there ever was and says
// which one is in effect: in a folder beside the configuration file, or in etcd
// for several Servals, which then change over together (handover.go).
package rulestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Version is one set of rules, in effect from At until the next one.
type Version struct {
	// Number is 1 for the first one and grows by one.
	Number int64     `json:"version"`
	At     time.Time `json:"at"`
	// By is who applied it, as user@host.
	By string `json:"by"`
	// Note says why, or where it came from.
	Note string `json:"note,omitempty"`
	// Sum is the text's SHA-256 in hexadecimal, which tells whether two
	// versions are the same rules.
	Sum string `json:"sum"`
	// Text is the YAML. History leaves it out.
	Text string `json:"text,omitempty"`
	// Floors are the GTID sets, by cluster, that a replica must have executed
	// before it may answer by these rules: tables were renamed with them, or with
	// rules before.
	Floors map[string]string `json:"floors,omitempty"`
}

// SumOf is the Sum of a text.
func SumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// MaxText bounds a version's text, in bytes: etcd takes requests of 1.5 MiB.
const MaxText = 1 << 20

// ErrEmpty: the store holds no version yet.
var ErrEmpty = errors.New("no version of the rules is stored yet")

// Conflict: the rules in effect are not those the change was made from.
type Conflict struct{ Base, Head int64 }

func (e *Conflict) Error() string {
	return fmt.Sprintf("version %d is in effect, and the change was made from version %d; look at the difference again (serval rules diff) and apply again", e.Head, e.Base)
}

// Store is where versions are kept. Implementations are safe for concurrent
// use; each call ends with its ctx.
type Store interface {
	// Head is the version in effect, or ErrEmpty.
	Head(ctx context.Context) (Version, error)
	// Version is one that is or was in effect. An unknown number is an error
	// that says which there are.
	Version(ctx context.Context, number int64) (Version, error)
	// History is the versions, the newest first, at most limit, without texts.
	History(ctx context.Context, limit int) ([]Version, error)
	// Apply puts v's text, By and Note in effect as the version after base,
	// which is 0 for an empty store. A *Conflict means that base is not in
	// effect any more. On any other error nothing has changed, unless the
	// error says otherwise.
	Apply(ctx context.Context, base int64, v Version) (Version, error)
	Close() error
}

func unknownVersion(number, head int64) error {
	return fmt.Errorf("there is no version %d of the rules; the newest is %d (serval rules history lists them)", number, head)
}

// complete is v as it will be stored after base.
func complete(base int64, v Version, now time.Time) (Version, error) {
	if len(v.Text) > MaxText {
		return v, fmt.Errorf("the rules have %d bytes; a version takes %d at most", len(v.Text), MaxText)
	}
	v.Number, v.At, v.Sum = base+1, now.UTC().Truncate(time.Second), SumOf(v.Text)
	return v, nil
}
