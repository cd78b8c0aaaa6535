package wire

import "errors"

// ErrMalformed is what decoders return for a payload that is not what it
// should be.
var ErrMalformed = errors.New("wire: malformed packet")

// OK is the payload that ends a statement: OK_Packet, also where it takes the
// place of EOF (CLIENT_DEPRECATE_EOF).
type OK struct {
	AffectedRows, LastInsertID uint64
	Status, Warnings           uint16
	// Info is the human text ("Rows matched: 1 …").
	Info    []byte
	Tracked Tracked
}

// Tracked is what a server said about its session state (CLIENT_SESSION_TRACK,
// session_track_* variables).
type Tracked struct {
	// Vars are the system variables the statement changed.
	Vars []TrackedVar
	// Schema is the new current database, if SchemaChanged.
	Schema        string
	SchemaChanged bool
	// StateChanged: something of the session changed (SESSION_TRACK_STATE_CHANGE).
	StateChanged bool
	// GTIDs of the statement's own transaction (session_track_gtids=OWN_GTID),
	// on MariaDB the last_gtid variable.
	GTIDs string
}

// TrackedVar is one changed variable.
type TrackedVar struct{ Name, Value string }

// Column is a column definition (Protocol::ColumnDefinition41).
type Column struct {
	Schema, Table, OrgTable, Name, OrgName []byte
	Charset                                uint16
	Length                                 uint32
	Type                                   byte
	Flags                                  uint16
	Decimals                               byte
}

// Param is one bound parameter of COM_STMT_EXECUTE. Value is its binary form
// without the length prefix where the type has one... for lenenc types it is
// the bytes themselves; for fixed types the fixed bytes; for temporal types
// the bytes after the length byte.
type Param struct {
	Type     byte
	Unsigned bool
	Null     bool
	Value    []byte
}
