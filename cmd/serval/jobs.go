package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/ddl"
)

// ExecIn runs one statement on the cluster's primary in a session's state.
func (f fleetServers) ExecIn(ctx context.Context, cluster string, in ddl.Settings, sql string) (err error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return err
	}
	defer func() { conns[0].Release(err) }()
	state := &backend.State{DB: in.DB}
	for _, v := range in.Vars {
		state.Vars = append(state.Vars, backend.Var{Name: v[0], SQL: v[1]})
	}
	slices.SortFunc(state.Vars, func(a, b backend.Var) int { return strings.Compare(a.Name, b.Name) }) // as a State has them
	conns[0].Want(state)
	_, err = conns[0].Exec(ctx, sql)
	return err
}

// Lock takes a named lock on the cluster's primary.
func (f fleetServers) Lock(ctx context.Context, cluster, name string, wait time.Duration) (ddl.Holder, error) {
	conns, err := f.Acquire(ctx, backend.Want{Cluster: cluster, N: 1, NoHold: true})
	if err != nil {
		return nil, err
	}
	c := conns[0]
	c.Want(&backend.State{})
	_, rows, err := c.Select(ctx, fmt.Sprintf("SELECT GET_LOCK('%s', %d)", name, int(math.Ceil(wait.Seconds()))))
	if err != nil || len(rows) != 1 || string(rows[0][0]) != "1" {
		c.Release(err)
		return nil, err
	}
	return &lockHolder{conn: c, name: name}, nil
}

// lockHolder is a connection with a named lock.
type lockHolder struct {
	conn *backend.Conn
	name string
}

// Select implements ddl.Holder.
func (h *lockHolder) Select(ctx context.Context, sql string) ([][][]byte, error) {
	_, rows, err := h.conn.Select(ctx, sql)
	return rows, err
}

// Exec implements ddl.Holder.
func (h *lockHolder) Exec(ctx context.Context, sql string) error {
	_, err := h.conn.Exec(ctx, sql)
	return err
}

// Close implements ddl.Holder. Where the lock cannot be freed it goes with the
// connection.
func (h *lockHolder) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if !h.conn.Usable() {
		h.conn.Discard()
		return
	}
	if _, err := h.conn.Exec(ctx, "DO RELEASE_LOCK('"+h.name+"')"); err != nil {
		h.conn.Discard()
		return
	}
	h.conn.Release(nil)
}
