package session

import (
	"strings"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/router/plan"
)

// readFailed notes what the server tells of a read that failed on this
// connection: warnings come before its error, and behind it.
func (d *diagnostics) readFailed(c *backend.Conn) {
	var all diagnostics
	all.bound, all.shard = d.bound, d.shard
	all.read(c)
	d.ofFailed = all.rows
}

// failed notes a statement's error as SHOW WARNINGS shows it.
func (d *diagnostics) failed(e *sqlerr.Error) {
	with := d.ofFailed
	d.ofFailed = nil
	d.rows = append(d.rows[:0], diagnostic{level: "Error", code: e.Code, message: e.Message})
	for i, r := range with {
		if r.level == "Error" && r.code == e.Code {
			with[i].message = e.Message
			d.rows = with
			break
		}
	}
	d.count = len(d.rows)
}

// once takes out what a read's further servers told of the statement's text: a
// literal that is no date, no number. One server tells it once; rows with that
// value would seldom be as many on each. It gives the number taken out.
func (d *diagnostics) once(literal func(value string) bool) (dropped int) {
	if d.readings < 2 {
		return 0
	}
	counts := map[diagnostic]map[int]int{}
	for _, r := range d.rows {
		of := r
		of.reading = 0
		if counts[of] == nil {
			counts[of] = map[int]int{}
		}
		counts[of][r.reading]++
	}
	kept := d.rows[:0]
	shown := map[diagnostic]int{}
	for _, r := range d.rows {
		of := r
		of.reading = 0
		if shown[of] > 0 && shown[of] != r.reading && alike(counts[of]) && literal(valueIn(r.message)) {
			dropped++
			continue
		}
		shown[of] = r.reading
		kept = append(kept, r)
	}
	d.rows, d.count = kept, d.count-dropped
	return dropped
}

// tellOnce has the client told once what several servers told of its text.
func (s *Session) tellOnce(e *planned, bound *plan.Bound, out *executor.Outcome) {
	d := &s.diag
	if !e.plan.ReadOnly || d.readings < 2 {
		return
	}
	dropped := d.once(func(value string) bool { return wrote(bound.Args, value) })
	out.OK.Warnings -= uint16(min(dropped+d.repeated, int(out.OK.Warnings)))
	d.repeated = 0
}

// harmless: running the statement once more changes nothing of the session.
func harmless(e *plan.Effects) bool { return e.Pins == "" && len(e.UserVars) == 0 && !e.Numbers }

func alike(counts map[int]int) bool {
	n := 0
	for _, c := range counts {
		if n != 0 && c != n {
			return false
		}
		n = c
	}
	return true
}

// valueIn is the value a message is about: "Truncated incorrect DOUBLE value: '4x'".
func valueIn(message string) string {
	_, value, ok := strings.Cut(message, "value: '")
	if !ok {
		return ""
	}
	value, _, _ = strings.Cut(value, "' for ")
	return strings.TrimSuffix(value, "'")
}

// wrote: the client wrote the value as a literal, or gave it as a parameter.
func wrote(args plan.Args, value string) bool {
	if value == "" {
		return false
	}
	for i := range args.Len() {
		if string(args.Value(i).Text) == value {
			return true
		}
	}
	return false
}
