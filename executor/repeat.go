package executor

import (
	"errors"
	"io"
	"slices"
)

// tellRepeated has the warnings told of every task of a read where some
// connection ran several: a server keeps those of the last one only, so the
// others are run once more. It comes when the client has its rows.
func (f *fan) tellRepeated() {
	if f.req.Repeated == nil || f.req.Warned != nil || !slices.ContainsFunc(f.links, (*link).overwritten) {
		return
	}
	for _, l := range f.links {
		if l.err != nil || l.sent == 0 || l.read < l.sent {
			continue
		}
		last := l.parts[l.sent-1]
		if last.ok.Warnings > 0 {
			f.req.Repeated(l.conn, last.task)
		}
		for _, p := range l.parts[:l.sent-1] {
			if p.ok.Warnings > 0 && !p.repeat() {
				return
			}
		}
	}
}

// overwritten: a task that warned was followed by another one.
func (l *link) overwritten() bool {
	return l.sent > 1 && l.read == l.sent && slices.ContainsFunc(l.parts[:l.sent-1], func(p *part) bool { return p.ok.Warnings > 0 })
}

// repeat runs the part once more for its warnings. What fails ends the telling:
// the client has its rows.
func (p *part) repeat() bool {
	req, c := p.link.fan.req, p.link.conn
	if err := send(c, req, p.task); err != nil {
		p.link.err = err
		return false
	}
	h, err := c.Header()
	for err == nil && h.Columns != nil {
		if _, err = c.Row(); errors.Is(err, io.EOF) {
			req.Repeated(c, p.task)
			return true
		}
	}
	p.link.err = err
	return false
}
