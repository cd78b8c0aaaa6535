package executor

import (
	"bytes"
	"errors"
	"math"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

// gather reads the OKs of a statement that changed several shards. Each shard
// ran it by itself: where some failed, the first error is returned and says
// how many did not.
func (f *fan) gather(root plan.Node) (wire.OK, error) {
	var first error
	applied := 0
	for _, p := range f.parts {
		err := p.begin()
		if err == nil && p.header.Columns != nil {
			err = sqlerr.New(sqlerr.UnknownError, "shard %d of cluster %s answered with rows, another one without",
				p.task.Shard, p.task.Cluster)
		}
		if err == nil {
			applied++
		} else if first == nil {
			first = err
		}
	}
	if first != nil && f.req.Undone {
		return wire.OK{}, first
	}
	if first != nil {
		return wire.OK{}, partly(first, applied, len(f.parts))
	}
	if plan.Copies(root) {
		return f.sameCopies()
	}
	ok := f.add(root)
	numberRows(f.req.Bound, &ok)
	return ok, nil
}

// rowOfStatement is an error of one shard's rows as the statement counts them.
func rowOfStatement(b *plan.Bound, shard int, err error) error {
	var e *sqlerr.Error
	if b.RowShards == nil || !errors.As(err, &e) {
		return err
	}
	message := b.StatementRow(shard, e.Message)
	if message == e.Message {
		return err
	}
	counted := *e
	counted.Message = message
	return &counted
}

// partly says in an error's message what it left behind.
func partly(err error, applied, all int) error {
	var e *sqlerr.Error
	if applied == 0 || !errors.As(err, &e) {
		return err
	}
	return &sqlerr.Error{Code: e.Code, State: e.State,
		Message: e.Message + "; " + strconv.Itoa(applied) + " of " + strconv.Itoa(all) + " shards had already applied it"}
}

// sameCopies is the OK of one copy. Copies that touched different numbers of
// rows are no copies any more.
func (f *fan) sameCopies() (wire.OK, error) {
	first := f.parts[0]
	for _, p := range f.parts[1:] {
		if a, b := touched(&first.ok), touched(&p.ok); a != b {
			return wire.OK{}, errCopiesDiffer(a, first.task.Cluster, b, p.task.Cluster)
		}
	}
	ok := first.ok
	numberRows(f.req.Bound, &ok)
	return ok, nil
}

func errCopiesDiffer(a uint64, first string, b uint64, other string) error {
	return sqlerr.New(sqlerr.UnknownError, "the copies of this global table differ: the statement was applied "+
		"everywhere, but it found %d rows on cluster %s and %d on %s; `serval check --live` shows where they differ", a, first, b, other)
}

// touched is how many rows a statement found: an UPDATE counts as affected
// only what it changed, and the copies may differ in that after a retry.
func touched(ok *wire.OK) uint64 {
	if matched, _, found := bytes.Cut(ok.Info, []byte("  ")); found && bytes.HasPrefix(matched, []byte("Rows matched: ")) {
		if n, err := strconv.ParseUint(string(matched[len("Rows matched: "):]), 10, 64); err == nil {
			return n
		}
	}
	return ok.AffectedRows
}

// add makes one OK of the shards'.
func (f *fan) add(root plan.Node) wire.OK {
	var sum wire.OK
	last := -1 // row's shard, whose number is the statement's
	if rows := f.req.Bound.RowShards; len(rows) > 0 {
		last = rows[len(rows)-1]
	}
	for _, p := range f.parts {
		sum.AffectedRows += p.ok.AffectedRows
		if sum.LastInsertID == 0 || p.ok.LastInsertID != 0 && p.task.Shard == last {
			sum.LastInsertID = p.ok.LastInsertID
		}
		sum.Warnings = addWarnings(sum.Warnings, p.ok.Warnings)
		sum.Status, sum.Tracked = p.ok.Status, p.ok.Tracked
	}
	oks := make([]*wire.OK, len(f.parts))
	for i, p := range f.parts {
		oks[i] = &p.ok
	}
	if n, ok := root.(*plan.Insert); ok {
		sum.Info = insertInfo(oks, n.Upsert)
	} else {
		sum.Info = addInfo(oks)
	}
	return sum
}

func addWarnings(a, b uint16) uint16 { return uint16(min(uint32(a)+uint32(b), math.MaxUint16)) }

// insertInfo is the text of a multi-row INSERT. A shard that got one row gives
// no text; its counts follow from the OK.
func insertInfo(oks []*wire.OK, upsert bool) []byte {
	var n [3]uint64 // records, duplicates, warnings
	for _, ok := range oks {
		if counts := infoCounts(ok.Info); len(counts) == len(n) {
			for i := range n {
				n[i] += counts[i]
			}
			continue
		}
		n[0]++
		n[2] += uint64(ok.Warnings)
		switch {
		case ok.AffectedRows > 1: // a replaced or updated row counts twice
			n[1] += ok.AffectedRows - 1
		case ok.AffectedRows == 0 && !upsert: // IGNORE
			n[1]++
		}
	}
	b := strconv.AppendUint([]byte("Records: "), n[0], 10)
	b = strconv.AppendUint(append(b, "  Duplicates: "...), n[1], 10)
	return strconv.AppendUint(append(b, "  Warnings: "...), n[2], 10)
}

// addInfo adds up the numbers in texts that are otherwise the same ("Rows
// matched: 3  Changed: 1  Warnings: 0"); texts that aren't give none.
func addInfo(oks []*wire.OK) []byte {
	sum := infoCounts(oks[0].Info)
	if len(sum) == 0 {
		return nil
	}
	words := infoWords(oks[0].Info)
	for _, ok := range oks[1:] {
		if !bytes.Equal(words, infoWords(ok.Info)) {
			return nil
		}
		for i, n := range infoCounts(ok.Info) {
			sum[i] += n
		}
	}
	var out []byte
	for _, c := range words {
		if c == '#' && len(sum) > 0 {
			out = strconv.AppendUint(out, sum[0], 10)
			sum = sum[1:]
			continue
		}
		out = append(out, c)
	}
	return out
}

// infoCounts are the numbers in an info text.
func infoCounts(info []byte) []uint64 {
	var counts []uint64
	in := false
	for _, c := range info {
		digit := c >= '0' && c <= '9'
		if digit && !in {
			counts = append(counts, 0)
		}
		if in = digit; digit {
			counts[len(counts)-1] = counts[len(counts)-1]*10 + uint64(c-'0')
		}
	}
	return counts
}

// infoWords is an info text with # for each number.
func infoWords(info []byte) []byte {
	var words []byte
	for _, c := range info {
		if c < '0' || c > '9' {
			words = append(words, c)
		} else if len(words) == 0 || words[len(words)-1] != '#' {
			words = append(words, '#')
		}
	}
	return words
}
