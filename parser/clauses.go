package parser

// keyword follows a reserved word. It returns false where the word is a name.
func (o *outline) keyword(kw keyword) bool {
	f := o.frame()
	if o.rows && kw == kwOn && len(o.frames) == 1 {
		o.rows = false
	}
	if f.expect && f.from {
		switch kw {
		case kwSelect, kwWith, kwLateral, kwDual, kwValues, kwTable:
		default:
			if !reservedHere(kw) {
				return false
			}
		}
	}
	switch kw {
	case kwSelect:
		o.selectHead(f)
	case kwUnion, kwExcept, kwIntersect:
		o.closeClause(f)
		o.endBlock(f)
		f.setOp, f.armNext, f.from, f.own = true, true, false, -1
	case kwAll, kwDistinct:
	case kwUpdate, kwDelete:
		if o.verb == kwWith && len(o.frames) == 1 && f.own < 0 {
			f.arm = false
			o.statementHead()
			o.i-- // the caller moves on
		}
	case kwFrom:
		o.fromClause(f)
	case kwJoin, kwStraightJoin:
		if f.from {
			f.expect, f.afterPar = true, false
		}
	case kwUsing:
		if o.targets && len(o.frames) == 1 {
			o.targets = false
			f.from, f.expect = true, true
		}
	case kwAs:
	case kwLateral, kwDual:
		if kw == kwDual {
			f.expect = false
		}
		return f.from || kw == kwLateral
	case kwWith, kwRecursive:
		f.from, f.expect, f.armNext = false, false, false
	default:
		return o.clause(f, kw)
	}
	return true
}

// reservedHere: the word cannot be a table's name without quotes.
func reservedHere(kw keyword) bool {
	switch kw {
	case kwFull, kwOffset, kwOnly, kwDuplicate, kwTables, kwTruncate, kwTemporary, kwValue, kwView,
		kwBegin, kwDo, kwQuick, kwConcurrent, kwFractional, kwWindow, kwRow, kwRows, kwIntersect, kwExcept,
		kwMinus, kwReturning, kwSelectOption:
		return false
	}
	return true
}

// clause follows a word that begins a clause of a query.
func (o *outline) clause(f *outlineFrame, kw keyword) bool {
	query := f.own >= 0 || f.setOp || len(o.frames) == 1 || f.armNext || f.arm
	switch kw {
	case kwFor:
		if k := o.kw(o.i - 1); k == kwIndex || k == kwKey {
			o.skipHintScope()
			return true
		}
		if query && !f.inExpr() {
			o.begin(f, &o.tailOf(f).Lock)
		}
	case kwLock:
		if query && !f.inExpr() {
			o.begin(f, &o.tailOf(f).Lock)
		}
	case kwOrder:
		if query {
			o.begin(f, &o.tailOf(f).OrderBy)
		}
	case kwLimit:
		if query {
			o.limit(f)
		}
	case kwInto:
		if query {
			o.begin(f, &o.tailOf(f).Into)
		}
	case kwSet:
		f.from = false
		if o.insert != nil && len(o.frames) == 1 && o.insert.Select < 0 {
			o.begin(f, &o.insert.Set)
			o.insert.Set.Start = o.nextStart()
		}
	case kwOn:
		if o.insert != nil && len(o.frames) == 1 && o.kw(o.i+1) == kwDuplicate {
			o.closeClause(f)
			o.endBlock(f)
			o.begin(f, &o.insert.OnDuplicate)
		}
	case kwValues, kwValue:
		if o.insert != nil && len(o.frames) == 1 && len(o.insert.Rows) == 0 && o.insert.OnDuplicate.Start == 0 {
			o.rows = true
		}
	case kwWhere, kwGroup, kwHaving, kwWindow:
		return o.blockClause(f, kw)
	default:
		return kw != kwNone && reservedHere(kw) && !o.isPunct(o.i+1, '.')
	}
	return true
}

// inExpr: FOR in SUBSTRING(a FROM 1 FOR 2) is no clause; there the frame has
// no SELECT.
func (f *outlineFrame) inExpr() bool { return f.own < 0 && !f.setOp && !f.armNext && !f.arm }

func (o *outline) nextStart() int {
	if o.i+1 < len(o.tokens) {
		return o.tokens[o.i+1].start
	}
	return len(o.text)
}

func (o *outline) blockClause(f *outlineFrame, kw keyword) bool {
	if f.own < 0 {
		if kw == kwWhere {
			f.from = false
			return true
		}
		return kw != kwWindow
	}
	b := o.blocks[f.own]
	switch kw {
	case kwWhere:
		o.begin(f, &b.Where)
	case kwGroup:
		o.begin(f, &b.GroupBy)
	case kwHaving:
		o.begin(f, &b.Having)
	case kwWindow:
		o.begin(f, &b.Window)
	}
	return true
}

// skipHintScope skips what follows USE INDEX FOR.
func (o *outline) skipHintScope() {
	switch o.kw(o.i + 1) {
	case kwJoin:
		o.i++
	case kwOrder, kwGroup:
		o.i += 2
	}
}

// begin ends the open clause and begins another.
func (o *outline) begin(f *outlineFrame, s *Span) {
	o.closeClause(f)
	s.Start = o.tokens[o.i].start
	f.open = s
	f.from, f.expect, f.afterPar = false, false, false
}

// tailOf is where ORDER BY and what follows it belong: to the SELECT, or
// behind the arms of a UNION to all of them.
func (o *outline) tailOf(f *outlineFrame) *Tail {
	switch {
	case f.own >= 0 && !f.setOp:
		return &o.blocks[f.own].Tail
	case f.setOp:
		o.endBlock(f)
	}
	switch {
	case len(o.frames) == 1:
		return &o.tail
	}
	return &Tail{} // of a UNION in parentheses: nobody asks
}

// selectHead begins a block.
func (o *outline) selectHead(f *outlineFrame) {
	o.closeClause(f)
	b := &Block{Parent: f.around, Start: o.tokens[o.i].start}
	f.own = len(o.blocks)
	f.from, f.expect, f.armNext = false, false, false
	o.blocks = append(o.blocks, b)
	if f.arm {
		o.arms = append(o.arms, f.own)
	}
	if o.insert != nil && o.insert.Select < 0 && !o.insertDone() && (len(o.frames) == 1 || f.source) {
		o.insert.Select = f.own
	}
	for o.i+1 < len(o.tokens) && o.selectOption(o.i+1) {
		o.i++
	}
	b.List.Start = o.nextStart()
	f.open = &b.List
}

// insertDone: the INSERT has its rows, so a SELECT is within an expression.
func (o *outline) insertDone() bool {
	return o.rows || len(o.insert.Rows) > 0 || o.insert.Set.Start > 0 || o.insert.OnDuplicate.Start > 0
}

func (o *outline) selectOption(i int) bool {
	switch o.kw(i) {
	case kwAll, kwDistinct, kwDistinctRow, kwHighPriority, kwStraightJoin, kwSelectOption:
		return true
	}
	return o.tokens[i].kind == tokenHint
}

// fromClause begins a list of tables, unless FROM is part of a function's
// arguments.
func (o *outline) fromClause(f *outlineFrame) {
	switch {
	case f.own >= 0:
		o.begin(f, &o.blocks[f.own].From)
		o.blocks[f.own].dual = o.kw(o.i+1) == kwDual
		f.from, f.expect = true, true
	case o.targets && len(o.frames) == 1:
		o.targets = false
		f.from, f.expect = true, true
	}
}

// limit reads LIMIT with its operands.
func (o *outline) limit(f *outlineFrame) {
	l := &o.tailOf(f).Limit
	o.begin(f, &l.Span)
	if o.i+1 >= len(o.tokens) {
		return
	}
	first := o.tokens[o.i+1]
	l.Count = Span{first.start, first.end}
	if o.i+3 >= len(o.tokens) {
		return
	}
	second := Span{o.tokens[o.i+3].start, o.tokens[o.i+3].end}
	switch {
	case o.isPunct(o.i+2, ','):
		l.Offset, l.Count = l.Count, second
		o.i += 3
	case o.kw(o.i+2) == kwOffset:
		l.Offset = second
		o.i += 3
	}
}
