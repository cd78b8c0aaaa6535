package main

import (
	"context"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/control"
)

// Hold gives a connection to the cluster's primary.
func (f fleetServers) Hold(ctx context.Context, cluster string) (control.Held, error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return nil, err
	}
	conns[0].Want(&backend.State{})
	return &held{lockHolder{conn: conns[0]}}, nil
}

// held is a connection without a lock.
type held struct{ lockHolder }

// Close implements control.Held.
func (h *held) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !h.conn.Usable() {
		h.conn.Discard()
		return
	}
	if _, err := h.conn.Exec(ctx, "ROLLBACK"); err != nil {
		h.conn.Discard()
		return
	}
	h.conn.Release(nil)
}
