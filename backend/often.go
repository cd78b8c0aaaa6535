package backend

import (
	"bytes"
	"hash/maphash"
	"strconv"

	"github.com/servaldb/serval/internal/sqlerr"
)

const (
	// oftenTexts is how many texts a connection counts and may keep prepared
	// under a name in SQL.
	oftenTexts = 16
	// oftenUses of a text come before it is prepared.
	oftenUses = 4
	// oftenBytes is the longest text that is.
	oftenBytes = 8 << 10
)

// oftenText is a text and how often it was asked for.
type oftenText struct {
	key      []byte // scope and text
	uses     int
	prepared bool
	refused  bool // the server does not prepare it
}

// often is a connection's texts, each in the place its hash gives it. Who takes
// another's place must be asked for more often.
type often struct {
	texts   []oftenText // nil until the first is asked for
	seed    maphash.Seed
	key     []byte
	execute []byte
}

// Often gives what to send instead of sql with Query: an EXECUTE where this
// text has been asked for several times in this state, else sql. It saves the
// server parsing and resolving it. The answer is that of the text, in the text
// protocol. The result is good until the next call. No command may be
// outstanding, except queued state; else sql is sent as it is.
//
// The names are Serval's own: a client's PREPARE never reaches a server. A name
// that is prepared again takes the place of the one before, so nothing has to be
// closed. The text stands in quotes, so one with bytes that a character set or
// sql_mode could make something else of them is sent as it is; and one with a
// user variable, whose type a prepared statement would keep.
func (c *Conn) Often(sql []byte) []byte {
	if c.broken != nil || c.queued > 0 || c.outstanding > 0 || len(sql) > oftenBytes {
		return sql
	}
	o := &c.often
	if o.texts == nil {
		o.texts, o.seed = make([]oftenText, oftenTexts), maphash.MakeSeed()
	}
	o.key = append(append(o.key[:0], c.scope()...), sql...)
	place := int(maphash.Bytes(o.seed, o.key) % oftenTexts)
	t := &o.texts[place]
	if !bytes.Equal(t.key, o.key) {
		if t.uses--; t.uses < 0 {
			*t = oftenText{key: append(t.key[:0], o.key...), uses: 1}
		}
		return sql
	}
	if t.uses = min(t.uses+1, oftenUses); t.uses < oftenUses || t.refused {
		return sql
	}
	o.execute = strconv.AppendInt(append(o.execute[:0], "EXECUTE serval_"...), int64(place), 10)
	if !t.prepared {
		if !quotable(sql) || c.prepareNamed(o.execute[len("EXECUTE "):], sql) != nil {
			t.refused = true
			return sql
		}
		t.prepared = true
	}
	return o.execute
}

// forgetOften: what is prepared under names is not good any more.
func (c *Conn) forgetOften() { c.often.texts = nil }

// quotable reports that sql means the same between quotes, whatever the
// session's sql_mode and character set.
func quotable(sql []byte) bool {
	for _, b := range sql {
		if b == '\\' || b == '@' || b == 0 || b >= 0x80 {
			return false
		}
	}
	return true
}

func (c *Conn) prepareNamed(name, sql []byte) error {
	changed := c.changed // the server reports prepared statements as changed state
	text := append(append([]byte("PREPARE "), name...), " FROM '"...)
	text = append(append(text, bytes.ReplaceAll(sql, []byte("'"), []byte("''"))...), '\'')
	c.Query(text)
	if err := c.Flush(); err != nil {
		return err
	}
	h, err := c.Header()
	if err == nil && h.Columns != nil {
		err = c.lost(sqlerr.New(sqlerr.UnknownError, "PREPARE answered with rows"))
	}
	if err == nil {
		c.changed = changed
	}
	return err
}
