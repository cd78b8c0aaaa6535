package merge

import (
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
)

// project keeps the first columns of each row. A text row is cut short where
// it stands; a binary one is copied, for its NULL bitmap gets shorter.
type project struct {
	in    Rows
	keep  int // less than 0: all but so many
	shape *shape
	build rowBuilder
}

func newProject(in Rows, binary bool, keep int) Rows {
	return &project{in: in, keep: keep, build: rowBuilder{binary: binary}}
}

func (p *project) Open() ([]wire.Column, error) {
	cols, err := p.in.Open()
	if err != nil {
		return nil, err
	}
	if p.keep < 0 {
		p.keep += len(cols)
	}
	if p.keep < 0 || p.keep > len(cols) {
		return nil, sqlerr.New(sqlerr.UnknownError, "merge: %d columns of %d are to be shown", p.keep, len(cols))
	}
	p.shape = newShape(cols, p.build.binary)
	return cols[:p.keep:p.keep], nil
}

func (p *project) Next() ([]byte, error) {
	row, err := p.in.Next()
	if err != nil || p.keep == len(p.shape.cols) {
		return row, err
	}
	if err := p.shape.cut(row, p.keep); err != nil {
		return nil, err
	}
	end := 0
	if p.keep > 0 {
		end = p.shape.f[p.keep-1].end
	}
	if !p.build.binary {
		return row[:end], nil
	}
	p.build.begin(p.keep)
	for i := range p.keep {
		if p.shape.f[i].null {
			p.build.null()
		} else {
			p.build.raw(p.shape.raw(i))
		}
	}
	return p.build.buf, nil
}
