package parser

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/charset"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/parser/opcode"
	driver "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's value types

	"github.com/servaldb/serval/internal/sqlval"
)

// Operand is an expression that is a value: number Value of the statement,
// negated if Negate; or Const where Value is -1.
type Operand struct {
	Value  int
	Negate bool
	Const  sqlval.Value
}

// Operand tells the value an expression of the tree is. It is not ok for
// anything that must be computed, and for a literal whose value is not plainly
// its text (with a character set introducer, TRUE).
func (s *Statement) Operand(e ast.ExprNode) (op Operand, ok bool) {
	switch e := e.(type) {
	case *driver.ParamMarkerExpr:
		v := s.ValueAt(e.Offset)
		return Operand{Value: v}, v >= 0
	case *driver.ValueExpr:
		v, ok := s.constOf(e)
		return Operand{Value: -1, Const: v}, ok
	case *ast.ParenthesesExpr:
		return s.Operand(e.Expr)
	case *ast.UnaryOperationExpr:
		if e.Op == opcode.Plus {
			return s.Operand(e.V)
		}
		if e.Op != opcode.Minus {
			return Operand{}, false
		}
		op, ok = s.Operand(e.V)
		op.Negate = !op.Negate
		return op, ok
	}
	return Operand{}, false
}

// constOf is a literal of the tree as a value.
func (s *Statement) constOf(e *driver.ValueExpr) (sqlval.Value, bool) {
	if e.Type.GetFlag()&mysql.IsBooleanFlag != 0 {
		return sqlval.Value{}, false
	}
	if e.Kind() == driver.KindString {
		return s.stringOf(e)
	}
	if own := e.Type.GetCharset(); e.Kind() == driver.KindBinaryLiteral && own != "" && own != charset.CharsetBin && own != s.ownCharset() {
		return sqlval.Value{}, false
	}
	switch e.Kind() {
	case driver.KindNull:
		return sqlval.NullValue, true
	case driver.KindInt64:
		return sqlval.IntValue(e.GetInt64()), true
	case driver.KindUint64:
		return sqlval.Value{Kind: sqlval.Int, Text: appendUint(e.GetUint64())}, true
	case driver.KindMysqlDecimal:
		return sqlval.Value{Kind: sqlval.Decimal, Text: []byte(e.GetMysqlDecimal().String())}, true
	case driver.KindBinaryLiteral:
		return sqlval.Value{Kind: sqlval.Binary, Text: []byte(e.GetBinaryLiteral())}, true
	}
	return sqlval.Value{}, false
}

// stringOf is a string of the tree as a value. Those in one piece that have no
// introducer are values of the statement, not of the tree; here _utf8mb4'é' is as
// 'é' 'x', which is in the connection's character set: so only ASCII is sure.
func (s *Statement) stringOf(e *driver.ValueExpr) (sqlval.Value, bool) {
	text := e.GetString()
	if own := e.Type.GetCharset(); own == charset.CharsetBin {
		return sqlval.Value{Kind: sqlval.Binary, Text: []byte(text)}, true
	} else if own != "" && own != s.ownCharset() {
		return sqlval.Value{}, false
	}
	return sqlval.StringValue(text), strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// ownCharset is the character set of strings without an introducer.
func (s *Statement) ownCharset() string {
	if s.charset == "" {
		return mysql.DefaultCharset
	}
	return s.charset
}

func appendUint(n uint64) []byte { return strconv.AppendUint(nil, n, 10) }
