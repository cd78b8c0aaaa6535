package session

import (
	"strconv"
	"strings"
	"time"

	"github.com/servaldb/serval/internal/sqlerr"
)

// Values of serval_consistency and serval_transaction.
const (
	consistencyEventual = "eventual"
	consistencySession  = "session"
	consistencyGlobal   = "global"

	transactionAtomic     = "atomic"
	transactionSingle     = "single"
	transactionBestEffort = "best_effort"
)

// options are Serval's own session variables.
type options struct {
	// consistency: eventual reads any replica, session only one that has what
	// the session wrote, global the primary.
	consistency string
	// usual is the consistency of a session that asks for none.
	usual string
	// transaction: atomic commits on all clusters or on none, single refuses a
	// second one, best_effort commits them one after the other.
	transaction string
	// timeout ends a statement that runs longer, 0 for the server's limit.
	timeout time.Duration
	// maxRows bounds what merging may hold and what is moved to finish a
	// statement on one server, in rows; 0 is no limit of the session's own.
	maxRows int64
}

// newOptions are those of a new session; consistency is the configured one,
// session if empty.
func newOptions(consistency string) options {
	if consistency == "" {
		consistency = consistencySession
	}
	return options{consistency: consistency, usual: consistency, transaction: transactionAtomic}
}

// isOption reports whether a variable is Serval's own.
func isOption(name string) bool { return strings.HasPrefix(name, "serval_") }

// set changes one; value is a literal without its quotes, or DEFAULT.
func (o *options) set(name, value string) error {
	def := newOptions(o.usual)
	isDefault := strings.EqualFold(value, "DEFAULT")
	lower := strings.ToLower(value)
	switch name {
	case "serval_consistency":
		switch {
		case isDefault:
			o.consistency = def.consistency
		case lower == consistencyEventual || lower == consistencySession || lower == consistencyGlobal:
			o.consistency = lower
		default:
			return wrongValue(name, value, "it is eventual, session or global")
		}
	case "serval_transaction":
		switch {
		case isDefault:
			o.transaction = def.transaction
		case lower == transactionAtomic || lower == transactionSingle || lower == transactionBestEffort:
			o.transaction = lower
		default:
			return wrongValue(name, value, "it is atomic, single or best_effort")
		}
	case "serval_timeout":
		return o.setTimeout(value, isDefault)
	case "serval_max_rows":
		n, err := int64(0), error(nil)
		if !isDefault {
			n, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil || n < 0 {
			return wrongValue(name, value, "it is a number of rows, 0 for no limit but the configured one")
		}
		o.maxRows = n
	default:
		return sqlerr.New(sqlerr.UnknownVariable, "Unknown system variable '%s'", name)
	}
	return nil
}

// setTimeout takes seconds ("2", "0.5") or a duration ("2s", "500ms").
func (o *options) setTimeout(value string, isDefault bool) error {
	if isDefault {
		o.timeout = 0
		return nil
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return wrongValue("serval_timeout", value, "it is seconds, or a duration such as 500ms")
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	if d < 0 || d > 365*24*time.Hour {
		return wrongValue("serval_timeout", value, "it is 0 (none) up to a year")
	}
	o.timeout = d
	return nil
}

// value is a variable's value for SELECT @@serval_….
func (o *options) value(name string) (string, bool) {
	switch name {
	case "serval_consistency":
		return o.consistency, true
	case "serval_transaction":
		return o.transaction, true
	case "serval_timeout":
		return strconv.FormatFloat(o.timeout.Seconds(), 'f', -1, 64), true
	case "serval_max_rows":
		return strconv.FormatInt(o.maxRows, 10), true
	}
	return "", false
}

func wrongValue(name, value, hint string) error {
	return sqlerr.New(sqlerr.WrongVariableValue, "Variable '%s' can't be set to the value of '%s': %s", name, value, hint)
}
