package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/servaldb/serval/control"
	"github.com/servaldb/serval/rulestore"
)

const (
	// knownWithin is how long transactions that began before are waited for,
	// knownHold for how long writes are held at a time meanwhile.
	knownWithin = time.Minute
	knownHold   = 800 * time.Millisecond
)

// knownToServals asks the Servals of the rules' store to look at tables again.
func knownToServals(file string) control.Known {
	return func(ctx context.Context, tables []string) (bool, error) {
		rules, err := openRules(file, io.Discard, "")
		if err != nil {
			return false, err
		}
		defer func() { _ = rules.store.Close() }() // nothing was left unsaid
		looker, ok := rules.store.(rulestore.Looker)
		if !ok {
			return false, nil
		}
		ctx, cancel := context.WithTimeout(ctx, knownWithin)
		defer cancel()
		servals, err := looker.LookAgain(ctx, tables, knownHold)
		if err != nil {
			return false, fmt.Errorf("not every Serval writes it yet: %w", err)
		}
		return servals > 0, nil
	}
}
