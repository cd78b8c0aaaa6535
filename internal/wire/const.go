package wire

// Capability flags Serval offers or asks for (MySQL Server Doxygen,
// group__group__cs__capabilities__flags).
const (
	CapLongPassword     uint32 = 1 << 0 // CLIENT_LONG_PASSWORD; MariaDB: "this is MySQL", its extended flags are off
	CapFoundRows        uint32 = 1 << 1 // CLIENT_FOUND_ROWS: affected rows of UPDATE are the rows matched
	CapLongFlag         uint32 = 1 << 2
	CapConnectWithDB    uint32 = 1 << 3
	CapCompress         uint32 = 1 << 5
	CapLocalFiles       uint32 = 1 << 7
	CapIgnoreSpace      uint32 = 1 << 8
	CapProtocol41       uint32 = 1 << 9
	CapInteractive      uint32 = 1 << 10
	CapSSL              uint32 = 1 << 11
	CapTransactions     uint32 = 1 << 13
	CapSecureConnection uint32 = 1 << 15 // CLIENT_RESERVED2: authentication of MySQL 4.1 and later
	CapMultiStatements  uint32 = 1 << 16
	CapMultiResults     uint32 = 1 << 17
	CapPSMultiResults   uint32 = 1 << 18
	CapPluginAuth       uint32 = 1 << 19
	CapConnectAttrs     uint32 = 1 << 20
	CapPluginAuthLenEnc uint32 = 1 << 21
	CapSessionTrack     uint32 = 1 << 23
	CapDeprecateEOF     uint32 = 1 << 24
	CapQueryAttributes  uint32 = 1 << 27
)

// Server status flags (SERVER_STATUS_flags_enum).
const (
	StatusInTrans             uint16 = 0x0001
	StatusAutocommit          uint16 = 0x0002
	StatusMoreResults         uint16 = 0x0008
	StatusNoGoodIndexUsed     uint16 = 0x0010
	StatusNoIndexUsed         uint16 = 0x0020
	StatusCursorExists        uint16 = 0x0040
	StatusLastRowSent         uint16 = 0x0080
	StatusDBDropped           uint16 = 0x0100
	StatusNoBackslashEscapes  uint16 = 0x0200
	StatusMetadataChanged     uint16 = 0x0400
	StatusQueryWasSlow        uint16 = 0x0800
	StatusPSOutParams         uint16 = 0x1000
	StatusInTransReadonly     uint16 = 0x2000
	StatusSessionStateChanged uint16 = 0x4000
)

// Commands, the first byte of a packet from the client (enum_server_command).
const (
	ComQuit             byte = 0x01
	ComInitDB           byte = 0x02
	ComQuery            byte = 0x03
	ComFieldList        byte = 0x04
	ComStatistics       byte = 0x09
	ComProcessKill      byte = 0x0c
	ComDebug            byte = 0x0d
	ComPing             byte = 0x0e
	ComChangeUser       byte = 0x11
	ComBinlogDump       byte = 0x12
	ComStmtPrepare      byte = 0x16
	ComStmtExecute      byte = 0x17
	ComStmtSendLongData byte = 0x18
	ComStmtClose        byte = 0x19
	ComStmtReset        byte = 0x1a
	ComSetOption        byte = 0x1b
	ComStmtFetch        byte = 0x1c
	ComResetConnection  byte = 0x1f
)

// First bytes of answers.
const (
	HeaderOK        byte = 0x00
	HeaderMoreData  byte = 0x01 // AuthMoreData
	HeaderLocalFile byte = 0xfb // LOCAL INFILE request
	HeaderEOF       byte = 0xfe // EOF, OK in its place, AuthSwitchRequest
	HeaderErr       byte = 0xff
)

// Column types (enum_field_types). Those a server keeps to itself (NEWDATE,
// TIMESTAMP2, DATETIME2, TIME2) never come over the wire.
const (
	TypeDecimal    byte = 0x00
	TypeTiny       byte = 0x01
	TypeShort      byte = 0x02
	TypeLong       byte = 0x03
	TypeFloat      byte = 0x04
	TypeDouble     byte = 0x05
	TypeNull       byte = 0x06
	TypeTimestamp  byte = 0x07
	TypeLongLong   byte = 0x08
	TypeInt24      byte = 0x09
	TypeDate       byte = 0x0a
	TypeTime       byte = 0x0b
	TypeDateTime   byte = 0x0c
	TypeYear       byte = 0x0d
	TypeVarchar    byte = 0x0f
	TypeBit        byte = 0x10
	TypeVector     byte = 0xf2 // MySQL 9
	TypeJSON       byte = 0xf5
	TypeNewDecimal byte = 0xf6
	TypeEnum       byte = 0xf7
	TypeSet        byte = 0xf8
	TypeTinyBlob   byte = 0xf9
	TypeMediumBlob byte = 0xfa
	TypeLongBlob   byte = 0xfb
	TypeBlob       byte = 0xfc
	TypeVarString  byte = 0xfd
	TypeString     byte = 0xfe
	TypeGeometry   byte = 0xff
)

// Column flags (group__group__cs__column__definition__flags).
const (
	FlagNotNull       uint16 = 1 << 0
	FlagPrimaryKey    uint16 = 1 << 1
	FlagUniqueKey     uint16 = 1 << 2
	FlagMultipleKey   uint16 = 1 << 3
	FlagBlob          uint16 = 1 << 4
	FlagUnsigned      uint16 = 1 << 5
	FlagZerofill      uint16 = 1 << 6
	FlagBinary        uint16 = 1 << 7
	FlagEnum          uint16 = 1 << 8
	FlagAutoIncrement uint16 = 1 << 9
	FlagTimestamp     uint16 = 1 << 10
	FlagSet           uint16 = 1 << 11
	FlagNoDefault     uint16 = 1 << 12
	FlagOnUpdateNow   uint16 = 1 << 13
	FlagNum           uint16 = 1 << 15
)

// Collation ids that stand for themselves on every server.
const (
	CollationBinary          uint16 = 63
	CollationUTF8MB4General  uint16 = 45
	CollationUTF8MB40900AICI uint16 = 255 // MySQL only
)

// Cursor types of COM_STMT_EXECUTE (enum_cursor_type).
const (
	CursorNone     byte = 0
	CursorReadOnly byte = 1
)
