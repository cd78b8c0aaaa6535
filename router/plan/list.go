package plan

import "strings"

// SplitList makes one chunk of the values first to last of an IN list over the
// sharding key, of which each shard is then sent its own. It reports false
// where they do not follow each other in the text.
func (t Template) SplitList(first, last int) (Template, bool) {
	for i := range t {
		if t[i].Kind != ChunkValue || t[i].Index != first {
			continue
		}
		at := i
		for v := first + 1; v <= last; v++ {
			if at+2 >= len(t) || t[at+1].Kind != ChunkText || strings.TrimSpace(t[at+1].Text) != "," ||
				t[at+2].Kind != ChunkValue || t[at+2].Index != v {
				return t, false
			}
			at += 2
		}
		out := append(Template(nil), t[:i]...)
		out = append(out, Chunk{Kind: ChunkList, Index: first, Index2: last})
		return append(out, t[at+1:]...), true
	}
	return t, false
}

// appendList appends the values of a list that may be keys of the shard: a
// list that is no shard's own (NULL, what only a server can compare) stays. Of
// a prepared statement all ? stay, so that its text is the same on each shard
// and at each execution; those of others stand for one of its own again.
func (b *binder) appendList(dst []byte, markers []int, c *Chunk, a at) ([]byte, []int) {
	for i := c.Index; i <= c.Index2 && a.list != nil; i++ {
		if b.Args.Value(i).Kind != b.Args.Value(c.Index).Kind || b.listedShard(i, a) == anyShard {
			a.list = nil // how values are compared, and whether one alone is an error, depends on all of them
		}
	}
	own, kept := -1, 0
	for i := c.Index; i <= c.Index2 && own < 0; i++ {
		if !b.elsewhere(i, a) {
			own = i
		}
	}
	ownMarker := false
	if own >= 0 {
		_, ownMarker = b.Args.AppendSQL(nil, own)
	}
	for i := c.Index; i <= c.Index2; i++ {
		had := len(dst)
		if kept > 0 {
			dst = append(dst, ", "...)
		}
		var marker bool
		dst, marker = b.Args.AppendSQL(dst, i)
		switch skip := own >= 0 && b.elsewhere(i, a); {
		case marker && skip && ownMarker: // a literal has no parameter to stand in
			markers = append(markers, own)
		case marker:
			markers = append(markers, i)
		case skip || own < 0 && kept > 0:
			dst = dst[:had]
			continue
		}
		kept++
	}
	return dst, markers
}

// elsewhere: the value is certainly a key of another shard.
func (b *binder) elsewhere(i int, a at) bool {
	if a.list == nil {
		return false
	}
	shard := b.listedShard(i, a)
	return shard >= 0 && shard != a.shard.Index
}

// What a value of a list is that is no key of one shard.
const (
	noShard  = -1 // of none: NULL
	anyShard = -2 // only a server can compare it
)

// listedShard is the shard of a list's value.
func (b *binder) listedShard(i int, a at) int {
	shard, known := b.listed[i]
	if known {
		return shard
	}
	env := b.env
	env.Placement = a.list
	shard = anyShard
	switch n, h, err := (Equal{Value: Operand{Value: i}}).shard(env); {
	case err == nil && h == hitOne:
		shard = n
	case err == nil && h == hitNone:
		shard = noShard
	}
	if b.listed == nil {
		b.listed = make(map[int]int)
	}
	b.listed[i] = shard
	return shard
}
