package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/servaldb/serval/proxy"
)

// killedTime is what sessions that are killed have to tell their clients.
const killedTime = time.Second

// hurry ends a drain at the second signal: what runs is killed, and its client
// told, as KILL does; then the connections are closed. It returns when ctx ends.
func (p *process) hurry(ctx context.Context, front *proxy.Server) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	for range 2 {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
	}
	sessions := p.registry.List()
	p.log.Warn("a second signal: the sessions that are left are killed", "sessions", len(sessions))
	for _, s := range sessions {
		_ = p.registry.Kill(uint64(s.ID), true, "") // it may have ended
	}
	told, cancel := context.WithTimeout(ctx, killedTime)
	defer cancel()
	_ = front.Shutdown(told) // Run tells of what does not end
}
