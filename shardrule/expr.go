package shardrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Expr is an expression over one column, of a small part of SQL that Serval
// computes exactly as servers do: whole numbers with + - * DIV % ABS and CRC32;
// beginning, end and middle of text, and text as a number; parts of a date.
type Expr struct {
	op exprOp
	// text is a number of opNumber, a column's name of opColumn.
	text   string
	number int64
	args   []*Expr
}

// exprOp is what an Expr does.
type exprOp uint8

const (
	opColumn exprOp = iota
	opNumber
	opAdd
	opSub
	opMul
	opDiv // by a number other than 0, towards zero
	opMod // by a number other than 0, with the sign of the left side
	opAbs
	opCRC32
	opPrefix    // of text, n characters
	opSuffix    // of text, n characters
	opSubstring // of text, from 1, n characters
	opDigits    // text of 1 to 18 digits as a number
	opYear
	opMonth
	opDay
	opHour
	opWeekday // Monday is 0
)

// exprFunctions are the functions by the names rules may give them; SQL's own
// names are the second of two.
var exprFunctions = map[string]struct {
	op   exprOp
	args int
}{
	"abs": {opAbs, 1}, "crc32": {opCRC32, 1}, "number": {opDigits, 1},
	"prefix": {opPrefix, 2}, "left": {opPrefix, 2}, "suffix": {opSuffix, 2}, "right": {opSuffix, 2},
	"substring": {opSubstring, 3}, "substr": {opSubstring, 3},
	"year": {opYear, 1}, "month": {opMonth, 1}, "day": {opDay, 1}, "dayofmonth": {opDay, 1}, "hour": {opHour, 1}, "weekday": {opWeekday, 1},
}

// parseExpr reads an expression, and the one column in it.
func parseExpr(text string) (*Expr, string, error) {
	p := &exprParser{rest: text}
	e, err := p.sum()
	if err == nil && p.next() != "" {
		err = fmt.Errorf("%s is not expected there", p.next())
	}
	if err == nil && p.column == "" {
		err = fmt.Errorf("it names no column")
	}
	return e, p.column, err
}

// exprParser reads from left to right, a word at a time.
type exprParser struct {
	rest   string
	column string
	depth  int
}

// maxExprDepth bounds how deep parentheses and functions go.
const maxExprDepth = 20

// next is the next word: a name, a number, or one other character; empty at the
// end.
func (p *exprParser) next() string {
	p.rest = strings.TrimLeft(p.rest, " \t")
	if p.rest == "" {
		return ""
	}
	if p.rest[0] == '`' {
		if end := strings.IndexByte(p.rest[1:], '`'); end >= 0 {
			return p.rest[:end+2]
		}
	}
	n := 0
	for n < len(p.rest) && isNameByte(p.rest[n]) {
		n++
	}
	return p.rest[:max(n, 1)]
}

func isNameByte(b byte) bool {
	return b >= 0x80 || b == '_' || b == '$' || b-'0' <= 9 || b|0x20 >= 'a' && b|0x20 <= 'z'
}

func (p *exprParser) take(words ...string) string {
	word := strings.ToLower(p.next())
	if !slices.Contains(words, word) {
		return ""
	}
	p.rest = p.rest[len(word):]
	return word
}

func (p *exprParser) sum() (*Expr, error) {
	return p.chain(p.product, map[string]exprOp{"+": opAdd, "-": opSub})
}

func (p *exprParser) product() (*Expr, error) {
	return p.chain(p.factor, map[string]exprOp{"*": opMul, "div": opDiv, "%": opMod, "mod": opMod})
}

// chain reads parts with operators of one rank between them.
func (p *exprParser) chain(part func() (*Expr, error), operators map[string]exprOp) (*Expr, error) {
	if p.depth++; p.depth > maxExprDepth {
		return nil, fmt.Errorf("it is too deep")
	}
	defer func() { p.depth-- }()
	left, err := part()
	for err == nil {
		op, ok := operators[strings.ToLower(p.next())]
		if !ok {
			return left, nil
		}
		p.rest = p.rest[len(p.next()):]
		var right *Expr
		if right, err = part(); err != nil {
			break
		}
		if (op == opDiv || op == opMod) && (right.op != opNumber || right.number == 0) {
			return nil, fmt.Errorf("DIV and %% take a number other than 0 on the right")
		}
		left = &Expr{op: op, args: []*Expr{left, right}}
	}
	return nil, err
}

func (p *exprParser) factor() (*Expr, error) {
	word := p.next()
	switch {
	case word == "":
		return nil, fmt.Errorf("something is missing at its end")
	case p.take("(") != "":
		e, err := p.sum()
		if err == nil && p.take(")") == "" {
			err = fmt.Errorf("a ) is missing")
		}
		return e, err
	case p.take("-") != "":
		e, err := p.factor()
		if err != nil {
			return nil, err
		}
		return &Expr{op: opSub, args: []*Expr{{op: opNumber}, e}}, nil
	case word[0]-'0' <= 9:
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is no whole number", word)
		}
		p.rest = p.rest[len(word):]
		return &Expr{op: opNumber, number: n}, nil
	case word[0] != '`' && !isNameByte(word[0]):
		return nil, fmt.Errorf("%s is not expected there", word)
	}
	p.rest = p.rest[len(word):]
	if p.take("(") != "" {
		return p.call(strings.ToLower(word))
	}
	name := strings.Trim(word, "`")
	if p.column != "" && !strings.EqualFold(p.column, name) {
		return nil, fmt.Errorf("it has the columns %s and %s, and may have one", p.column, name)
	}
	p.column = name
	return &Expr{op: opColumn, text: name}, nil
}

func (p *exprParser) call(name string) (*Expr, error) {
	f, ok := exprFunctions[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %s", name)
	}
	e := &Expr{op: f.op}
	for p.take(")") == "" {
		if len(e.args) > 0 && p.take(",") == "" {
			return nil, fmt.Errorf("a , or ) is missing")
		}
		arg, err := p.sum()
		if err != nil {
			return nil, err
		}
		e.args = append(e.args, arg)
	}
	if len(e.args) != f.args {
		return nil, fmt.Errorf("%s takes %d, not %d", name, f.args, len(e.args))
	}
	for _, n := range e.args[1:] {
		if n.op != opNumber || n.number < 1 || n.number > 1000 {
			return nil, fmt.Errorf("%s takes numbers of characters from 1 to 1000", name)
		}
	}
	return e, nil
}

// opNames are how SQL writes functions and operators.
var opNames = map[exprOp]string{
	opAdd: "+", opSub: "-", opMul: "*", opDiv: "DIV", opMod: "%", opAbs: "ABS", opCRC32: "CRC32", opPrefix: "LEFT", opSuffix: "RIGHT",
	opSubstring: "SUBSTRING", opDigits: "NUMBER", opYear: "YEAR", opMonth: "MONTH", opDay: "DAYOFMONTH", opHour: "HOUR", opWeekday: "WEEKDAY",
}

// over is the expression with this name for its column.
func (e *Expr) over(column string) string {
	switch e.op {
	case opColumn:
		return column
	case opNumber:
		return strconv.FormatInt(e.number, 10)
	case opAdd, opSub, opMul, opDiv, opMod:
		return "(" + e.args[0].over(column) + " " + opNames[e.op] + " " + e.args[1].over(column) + ")"
	default:
		var args []string
		for _, a := range e.args {
			args = append(args, a.over(column))
		}
		return opNames[e.op] + "(" + strings.Join(args, ", ") + ")"
	}
}

// column is the type the expression has over c, which it must take.
func (e *Expr) column(c Column) (Column, error) {
	no := func(why string) (Column, error) {
		return Column{}, fmt.Errorf("%s does not take %s: %s", opNames[e.op], c.typeName(), why)
	}
	number := Column{Name: c.Name, Type: TypeInt, Bits: 64, Nullable: true, SQLType: "bigint"}
	switch e.op {
	case opColumn:
		switch {
		case c.Type == TypeText && !c.charactersKnown():
			return Column{}, fmt.Errorf("an expression does not take %s: which texts are equal in %s is not known; use a _bin collation", c.typeName(), c.Collation)
		case c.Type == TypeInt, c.Type == TypeText, c.Type == TypeDate, c.Type == TypeDatetime:
			c.TextKey = ByCharacters
			return c, nil
		}
		return Column{}, fmt.Errorf("an expression does not take %s; it takes integers, CHAR, VARCHAR, TEXT, DATE and DATETIME", c.typeName())
	case opNumber:
		return number, nil
	}
	in, err := e.args[0].column(c)
	if err != nil {
		return in, err
	}
	switch e.op {
	case opAdd, opSub, opMul, opDiv, opMod, opAbs:
		right, err := e.args[len(e.args)-1].column(c)
		if err != nil || in.Type != TypeInt || right.Type != TypeInt {
			return no("it computes with whole numbers")
		}
		return number, nil
	case opPrefix, opSuffix, opSubstring:
		if in.Type != TypeText {
			return no("it takes text")
		}
		in.Fixed, in.Length = false, 0
		return in, nil
	case opDigits:
		if in.Type != TypeText {
			return no("it takes text")
		}
		return number, nil
	case opCRC32:
		if in.Type != TypeText && in.Type != TypeInt {
			return no("it takes text and integers")
		}
		return number, nil
	case opHour:
		if in.Type != TypeDatetime {
			return no("it takes DATETIME")
		}
		return number, nil
	case opYear, opMonth, opDay, opWeekday:
		if in.Type != TypeDate && in.Type != TypeDatetime {
			return no("it takes DATE and DATETIME")
		}
		return number, nil
	case opColumn, opNumber:
	}
	return in, nil
}

// order is how the value goes with the column's: 1 with it, -1 against it, 0 in no
// order, 2: it does not change.
func (e *Expr) order() int {
	switch e.op {
	case opColumn:
		return 1
	case opNumber:
		return 2
	case opAdd:
		return bothOrders(e.args[0].order(), e.args[1].order())
	case opSub:
		return bothOrders(e.args[0].order(), turned(e.args[1].order()))
	case opDiv:
		return timesOrder(e.args[0].order(), e.args[1].number)
	case opMul:
		for i, n := range e.args {
			if n.op == opNumber {
				return timesOrder(e.args[1-i].order(), n.number)
			}
		}
	case opYear:
		return e.args[0].order()
	case opMod, opAbs, opCRC32, opPrefix, opSuffix, opSubstring, opDigits, opMonth, opDay, opHour, opWeekday:
	}
	return 0
}

func turned(order int) int {
	if order == 1 || order == -1 {
		return -order
	}
	return order
}

func bothOrders(a, b int) int {
	switch {
	case a == 2:
		return b
	case b == 2 || a == b:
		return a
	}
	return 0
}

func timesOrder(order int, n int64) int {
	switch {
	case n == 0:
		return 2
	case n < 0:
		return turned(order)
	}
	return order
}
