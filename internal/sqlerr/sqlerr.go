// Package sqlerr is an error as a MySQL client sees it: a code, an SQLSTATE, a
// message; and, for Serval, whether the statement may be tried again.
package sqlerr

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Codes Serval itself raises. The names are those of the MySQL manual
// (Server Error Message Reference).
const (
	AccessDenied        = 1045 // ER_ACCESS_DENIED_ERROR
	DBAccessDenied      = 1044 // ER_DBACCESS_DENIED_ERROR
	NoDB                = 1046 // ER_NO_DB_ERROR
	UnknownCommand      = 1047 // ER_UNKNOWN_COM_ERROR
	BadNull             = 1048 // ER_BAD_NULL_ERROR
	BadDB               = 1049 // ER_BAD_DB_ERROR
	TooManyConnections  = 1040 // ER_CON_COUNT_ERROR
	ServerShutdown      = 1053 // ER_SERVER_SHUTDOWN
	BadField            = 1054 // ER_BAD_FIELD_ERROR
	Parse               = 1064 // ER_PARSE_ERROR
	UnknownError        = 1105 // ER_UNKNOWN_ERROR
	ColumnCount         = 1136 // ER_WRONG_VALUE_COUNT_ON_ROW
	TableAccessDenied   = 1142 // ER_TABLEACCESS_DENIED_ERROR
	NoSuchTable         = 1146 // ER_NO_SUCH_TABLE
	PacketTooLarge      = 1153 // ER_NET_PACKET_TOO_LARGE
	PacketsOutOfOrder   = 1156 // ER_NET_PACKETS_OUT_OF_ORDER
	NotSupported        = 1235 // ER_NOT_SUPPORTED_YET
	UnknownStatement    = 1243 // ER_UNKNOWN_STMT_HANDLER
	WrongArguments      = 1210 // ER_WRONG_ARGUMENTS
	WrongVariableValue  = 1231 // ER_WRONG_VALUE_FOR_VAR
	UnknownVariable     = 1193 // ER_UNKNOWN_SYSTEM_VARIABLE
	OptionPreventsWrite = 1290 // ER_OPTION_PREVENTS_STATEMENT
	QueryInterrupted    = 1317 // ER_QUERY_INTERRUPTED
	TruncatedWrongValue = 1366 // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
	NoPartitionForValue = 1526 // ER_NO_PARTITION_FOR_GIVEN_VALUE
	MalformedPacket     = 1835 // ER_MALFORMED_PACKET
	QueryTimeout        = 3024 // ER_QUERY_TIMEOUT
	OfflineMode         = 3032 // ER_SERVER_OFFLINE_MODE
	OutOfMemory         = 1038 // ER_OUT_OF_SORTMEMORY, said when a memory budget is passed
	Checkread           = 1020 // ER_CHECKREAD
	ErrorDuringCommit   = 1180 // ER_ERROR_DURING_COMMIT
	LockWaitTimeout     = 1205 // ER_LOCK_WAIT_TIMEOUT
	LockTableFull       = 1206 // ER_LOCK_TABLE_FULL
	Deadlock            = 1213 // ER_LOCK_DEADLOCK
	StatementTimeout    = 1969 // ER_STATEMENT_TIMEOUT, MariaDB
	ServerLost          = 2013 // CR_SERVER_LOST, said of a backend that went away mid statement
	CannotConnect       = 2003 // CR_CONN_HOST_ERROR, said of a backend that cannot be reached
)

var states = map[uint16]string{
	AccessDenied: "28000", DBAccessDenied: "42000", NoDB: "3D000", UnknownCommand: "08S01", BadNull: "23000",
	BadDB: "42000", TooManyConnections: "08004", ServerShutdown: "08S01", BadField: "42S22", Parse: "42000",
	ColumnCount: "21S01", TableAccessDenied: "42000", NoSuchTable: "42S02", PacketTooLarge: "08S01",
	PacketsOutOfOrder: "08S01", NotSupported: "42000", WrongVariableValue: "42000", QueryInterrupted: "70100",
	MalformedPacket: "HY000", OutOfMemory: "HY001", ServerLost: "HY000", CannotConnect: "HY000",
}

// Error is a MySQL error. The zero value is not valid; use New.
type Error struct {
	Code    uint16
	State   string // five characters
	Message string

	retry bool
	cause error
}

// New makes an error with the SQLSTATE that goes with the code.
func New(code uint16, format string, args ...any) *Error {
	state, ok := states[code]
	if !ok {
		state = "HY000"
	}
	return &Error{Code: code, State: state, Message: fmt.Sprintf(format, args...)}
}

// Refuse is the error for what Serval does not do: what, why, what to do
// instead. It is ER_NOT_SUPPORTED_YET.
func Refuse(what, why, instead string) *Error {
	msg := "Serval refuses " + what + ": " + why
	if instead != "" {
		msg += "; " + instead
	}
	return &Error{Code: NotSupported, State: "42000", Message: msg}
}

// WithCause keeps the error that led here for logs and errors.Is. io.EOF is
// kept as io.ErrUnexpectedEOF: io.EOF is how readers of rows say that there are
// no more, and a lost connection must never pass for that.
func (e *Error) WithCause(err error) *Error {
	c := *e
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", err.Error(), io.ErrUnexpectedEOF)
	}
	c.cause = err
	return &c
}

// Retryable marks the error as having occurred before the first byte of the
// statement went to any server.
func (e *Error) Retryable() *Error {
	c := *e
	c.retry = true
	return &c
}

// Error gives the message as the mysql client prints it.
func (e *Error) Error() string {
	return fmt.Sprintf("ERROR %d (%s): %s", e.Code, e.State, e.Message)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// SafeToRetry reports that err is guaranteed to have occurred before any byte
// of the statement was sent to a server.
func SafeToRetry(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.retry
}

// MayEndTransaction reports that a server may have rolled back the whole
// transaction with the error (MySQL manual, "InnoDB Error Handling"; MariaDB adds
// 1020 with innodb_snapshot_isolation). With Deadlock it has.
func MayEndTransaction(err error) bool {
	if err == nil {
		return false
	}
	switch From(err).Code {
	case Checkread, ErrorDuringCommit, LockWaitTimeout, LockTableFull, Deadlock, StatementTimeout:
		return true
	}
	return false
}

// From turns any error into the one a client is to see.
func From(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return New(QueryTimeout, "Query execution was interrupted, maximum statement execution time exceeded").WithCause(err)
	case errors.Is(err, context.Canceled):
		return New(QueryInterrupted, "Query execution was interrupted").WithCause(err)
	}
	return New(UnknownError, "%s", err.Error()).WithCause(err)
}
