package session

import (
	"github.com/servaldb/serval/executor"
	"github.com/servaldb/serval/internal/sqlval"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/parser"
	"github.com/servaldb/serval/router/plan"
)

// textArgs are the values of a text query: its literals.
type textArgs struct {
	text     []byte
	literals []parser.Literal
	mode     parser.Mode
}

var _ plan.Args = (*textArgs)(nil)

// Len implements plan.Args.
func (a *textArgs) Len() int { return len(a.literals) }

// Value implements plan.Args.
func (a *textArgs) Value(i int) sqlval.Value { return a.literals[i].Value(a.text, a.mode) }

// AppendSQL implements plan.Args: the literal as it was written.
func (a *textArgs) AppendSQL(dst []byte, i int) ([]byte, bool) {
	l := a.literals[i]
	return append(dst, a.text[l.Start:l.End]...), l.Marker
}

// preparedArgs are the values of one COM_STMT_EXECUTE: the statement's
// literals, and the parameters for its ?.
type preparedArgs struct {
	textArgs
	// marker is the parameter's number for each value, -1 for a literal.
	marker []int
	params []wire.Param
	values []sqlval.Value // of the parameters, made once
	text   []byte         // what they borrow from
}

var (
	_ plan.Args       = (*preparedArgs)(nil)
	_ executor.Params = (*preparedArgs)(nil)
)

// bind gives the parameters of one execution.
func (a *preparedArgs) bind(params []wire.Param) error {
	a.params, a.values = params, a.values[:0]
	// The values borrow from a.text, which must not move: room first.
	need := 0
	for i := range params {
		need += maxParamText
		_ = i
	}
	if cap(a.text) < need {
		a.text = make([]byte, 0, need)
	}
	scratch := a.text[:0]
	for _, p := range params {
		v, grown, err := p.SQLValue(scratch)
		if err != nil {
			return err
		}
		a.values, scratch = append(a.values, v), grown
	}
	return nil
}

// maxParamText is the longest text a fixed-size parameter has: a double, or a
// timestamp with microseconds.
const maxParamText = 32

// Value implements plan.Args.
func (a *preparedArgs) Value(i int) sqlval.Value {
	if m := a.marker[i]; m >= 0 {
		return a.values[m]
	}
	return a.textArgs.Value(i)
}

// AppendSQL implements plan.Args.
func (a *preparedArgs) AppendSQL(dst []byte, i int) ([]byte, bool) {
	if a.marker[i] >= 0 {
		return append(dst, '?'), true
	}
	dst, _ = a.textArgs.AppendSQL(dst, i)
	return dst, false
}

// Param implements executor.Params; i is the value's number.
func (a *preparedArgs) Param(i int) wire.Param { return a.params[a.marker[i]] }

// literalArgs shows a prepared statement's values as literals, for SQL that is
// run as text.
type literalArgs struct {
	*preparedArgs
	noBackslash bool
}

// AppendSQL implements plan.Args.
func (a literalArgs) AppendSQL(dst []byte, i int) ([]byte, bool) {
	if a.marker[i] >= 0 {
		return a.Value(i).AppendSQL(dst, a.noBackslash), false
	}
	return a.preparedArgs.AppendSQL(dst, i)
}
