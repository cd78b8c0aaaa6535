package session

import (
	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/executor/txn"
	"github.com/servaldb/serval/internal/wire"
)

// capFoundRows is here so that lease.go needs no protocol.
const capFoundRows = wire.CapFoundRows

// noOptions is "nothing asked for the next transaction".
var noOptions = txn.Options{}

// wellKnown are the collations clients name at login, for servers that have not
// been asked yet (MySQL manual, "Character Set IDs"; ids are the same on
// MariaDB as far as it has them).
var wellKnown = map[uint16]catalog.Collation{
	8:   {Name: "latin1_swedish_ci", Charset: "latin1"},
	11:  {Name: "ascii_general_ci", Charset: "ascii"},
	33:  {Name: "utf8_general_ci", Charset: "utf8"},
	45:  {Name: "utf8mb4_general_ci", Charset: "utf8mb4"},
	46:  {Name: "utf8mb4_bin", Charset: "utf8mb4"},
	63:  {Name: "binary", Charset: "binary"},
	83:  {Name: "utf8_bin", Charset: "utf8"},
	192: {Name: "utf8_unicode_ci", Charset: "utf8"},
	224: {Name: "utf8mb4_unicode_ci", Charset: "utf8mb4"},
}

// startCollation gives the session the character set of the login. What no
// server here knows (MySQL 8's 255 on MariaDB) becomes utf8mb4_general_ci.
func (s *Session) startCollation() error {
	coll := s.collation(s.c.Collation)
	if dangerousCharset(coll.Charset) {
		return dangerous(coll.Charset)
	}
	if unfitForClients(coll.Charset) {
		coll = wellKnown[ownCollation]
	}
	s.settings.set("character_set_client", quoteText(coll.Charset))
	s.settings.set("character_set_results", quoteText(coll.Charset))
	s.settings.set("character_set_connection", quoteText(coll.Charset))
	s.settings.set("collation_connection", quoteText(coll.Name))
	return nil
}

func (s *Session) collation(id uint16) catalog.Collation {
	for _, c := range s.deps.Catalog.Load().Collations {
		if c.ID == id {
			return c
		}
	}
	if c, ok := wellKnown[id]; ok {
		return c
	}
	return wellKnown[ownCollation]
}

// unfitForClients are character sets servers do not take from a client: more
// than one byte for ASCII.
func unfitForClients(charset string) bool {
	switch charset {
	case "ucs2", "utf16", "utf16le", "utf32":
		return true
	}
	return false
}
