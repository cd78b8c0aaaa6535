package parser

import "strings"

// keyword is a word the lexer or the outline acts on; 0 is any other word.
type keyword uint8

const (
	kwNone keyword = iota
	kwAll
	kwAlter
	kwAnalyze
	kwAnd
	kwAs
	kwBegin
	kwBetween
	kwBinary
	kwBoth
	kwBy
	kwCall
	kwCase
	kwConvert
	kwCreate
	kwCross
	kwDelete
	kwDesc
	kwDescribe
	kwDistinct
	kwDistinctRow
	kwDiv
	kwDo
	kwDrop
	kwDual
	kwDuplicate
	kwElse
	kwExcept
	kwExists
	kwExplain
	kwFor
	kwForce
	kwFractional // functions whose argument is a number of digits
	kwFrom
	kwFull
	kwGroup
	kwHaving
	kwHighPriority
	kwIf
	kwIgnore
	kwIn
	kwIndex
	kwInner
	kwInsert
	kwIntersect
	kwInto
	kwIs
	kwJoin
	kwKey
	kwLateral
	kwLeading
	kwLeft
	kwLike
	kwLimit
	kwLock
	kwLowPriority
	kwMinus
	kwMod
	kwNatural
	kwNot
	kwOffset
	kwOn
	kwOnly
	kwOr
	kwOrder
	kwOuter
	kwPartition
	kwProcedure
	kwQuick
	kwRange
	kwRecursive
	kwRegexp
	kwReplace
	kwReturning
	kwRight
	kwRow
	kwRows
	kwSelect
	kwSelectOption
	kwSet
	kwStraightJoin
	kwTable
	kwTables
	kwThen
	kwTo
	kwTrailing
	kwTruncate
	kwUnion
	kwUpdate
	kwUse
	kwUsing
	kwValue
	kwValues
	kwView
	kwWhen
	kwWhere
	kwWindow
	kwWith
	kwXor
	kwDelayed
	kwConcurrent
	kwTemporary
	kwOver
)

// keywords by their upper-case spelling.
var keywords = map[string]keyword{
	"ALL": kwAll, "ALTER": kwAlter, "ANALYZE": kwAnalyze, "AND": kwAnd, "AS": kwAs, "BEGIN": kwBegin,
	"BETWEEN": kwBetween, "BINARY": kwBinary, "BOTH": kwBoth, "BY": kwBy, "CALL": kwCall, "CASE": kwCase,
	"CONVERT": kwConvert, "CREATE": kwCreate, "CROSS": kwCross, "DELETE": kwDelete, "DESC": kwDesc,
	"DESCRIBE": kwDescribe, "DISTINCT": kwDistinct, "DISTINCTROW": kwDistinctRow, "DIV": kwDiv, "DO": kwDo,
	"DROP": kwDrop, "DUAL": kwDual, "DUPLICATE": kwDuplicate, "ELSE": kwElse, "EXCEPT": kwExcept,
	"EXISTS": kwExists, "EXPLAIN": kwExplain, "FOR": kwFor, "FORCE": kwForce, "FROM": kwFrom, "FULL": kwFull,
	"GROUP": kwGroup, "HAVING": kwHaving, "HIGH_PRIORITY": kwHighPriority, "IF": kwIf, "IGNORE": kwIgnore,
	"IN": kwIn, "INDEX": kwIndex, "INNER": kwInner, "INSERT": kwInsert, "INTERSECT": kwIntersect,
	"INTO": kwInto, "IS": kwIs, "JOIN": kwJoin, "KEY": kwKey, "LATERAL": kwLateral, "LEADING": kwLeading,
	"LEFT": kwLeft, "LIKE": kwLike, "LIMIT": kwLimit, "LOCK": kwLock, "LOW_PRIORITY": kwLowPriority,
	"MINUS": kwMinus, "MOD": kwMod, "NATURAL": kwNatural, "NOT": kwNot, "OFFSET": kwOffset, "ON": kwOn,
	"ONLY": kwOnly, "OR": kwOr, "ORDER": kwOrder, "OUTER": kwOuter, "PARTITION": kwPartition,
	"PROCEDURE": kwProcedure, "QUICK": kwQuick, "RANGE": kwRange, "RECURSIVE": kwRecursive,
	"REGEXP": kwRegexp, "RLIKE": kwRegexp, "REPLACE": kwReplace, "RETURNING": kwReturning, "RIGHT": kwRight,
	"ROW": kwRow, "ROWS": kwRows, "SELECT": kwSelect, "SET": kwSet, "STRAIGHT_JOIN": kwStraightJoin,
	"TABLE": kwTable, "TABLES": kwTables, "THEN": kwThen, "TO": kwTo, "TRAILING": kwTrailing,
	"TRUNCATE": kwTruncate, "UNION": kwUnion, "UPDATE": kwUpdate, "USE": kwUse, "USING": kwUsing,
	"VALUE": kwValue, "VALUES": kwValues, "VIEW": kwView, "WHEN": kwWhen, "WHERE": kwWhere,
	"WINDOW": kwWindow, "WITH": kwWith, "XOR": kwXor, "DELAYED": kwDelayed, "CONCURRENT": kwConcurrent,
	"TEMPORARY": kwTemporary, "OVER": kwOver,
	"SQL_NO_CACHE": kwSelectOption, "SQL_CACHE": kwSelectOption, "SQL_CALC_FOUND_ROWS": kwSelectOption,
	"SQL_SMALL_RESULT": kwSelectOption, "SQL_BIG_RESULT": kwSelectOption, "SQL_BUFFER_RESULT": kwSelectOption,
	"NOW": kwFractional, "CURRENT_TIMESTAMP": kwFractional, "CURRENT_TIME": kwFractional,
	"CURTIME": kwFractional, "UTC_TIMESTAMP": kwFractional, "UTC_TIME": kwFractional,
	"LOCALTIME": kwFractional, "LOCALTIMESTAMP": kwFractional, "SYSDATE": kwFractional,
}

// beforeValue are the words behind which a literal is a value that may become
// a ?. Behind every other word a literal is an alias, part of a type, of a
// name or of the grammar, or Serval does not know, and it stays as it is.
var beforeValue = [...]bool{
	kwAll: true, kwAnd: true, kwBetween: true, kwBinary: true, kwBoth: true, kwCase: true, kwDistinct: true,
	kwDistinctRow: true, kwDiv: true, kwDo: true, kwElse: true, kwFor: true, kwFrom: true, kwHaving: true,
	kwHighPriority: true, kwIn: true, kwLeading: true, kwLike: true, kwLimit: true, kwMod: true, kwNot: true,
	kwOffset: true, kwOn: true, kwOr: true, kwRegexp: true, kwSelect: true, kwSelectOption: true,
	kwStraightJoin: true, kwThen: true, kwTrailing: true, kwWhen: true, kwWhere: true, kwXor: true,
	kwOver: false,
}

const longestKeyword = 19 // SQL_CALC_FOUND_ROWS

// keywordShapes has for each length a bit for each first letter of a keyword,
// which spares most names the look-up.
var keywordShapes = func() (shapes [longestKeyword + 1]uint32) {
	for word := range keywords {
		shapes[len(word)] |= 1 << (word[0] & 31)
	}
	return shapes
}()

// keywordOf looks a word up. It does not allocate.
func keywordOf(word []byte) keyword {
	if len(word) > longestKeyword || keywordShapes[len(word)]&(1<<(word[0]&31)) == 0 {
		return kwNone
	}
	var upper [longestKeyword]byte
	for i, c := range word {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return keywords[string(upper[:len(word)])]
}

// verbs are the usual first words, so that Fingerprint needs no memory for them.
var verbs = map[string]string{
	"ALTER": "ALTER", "ANALYZE": "ANALYZE", "BEGIN": "BEGIN", "CALL": "CALL", "COMMIT": "COMMIT",
	"CREATE": "CREATE", "DEALLOCATE": "DEALLOCATE", "DELETE": "DELETE", "DESC": "DESC",
	"DESCRIBE": "DESCRIBE", "DO": "DO", "DROP": "DROP", "EXECUTE": "EXECUTE", "EXPLAIN": "EXPLAIN",
	"FLUSH": "FLUSH", "INSERT": "INSERT", "KILL": "KILL", "LOAD": "LOAD", "LOCK": "LOCK",
	"PREPARE": "PREPARE", "RELEASE": "RELEASE", "REPLACE": "REPLACE", "ROLLBACK": "ROLLBACK",
	"SAVEPOINT": "SAVEPOINT", "SELECT": "SELECT", "SET": "SET", "SHOW": "SHOW", "START": "START",
	"TRUNCATE": "TRUNCATE", "UNLOCK": "UNLOCK", "UPDATE": "UPDATE", "USE": "USE", "VALUES": "VALUES",
	"WITH": "WITH", "XA": "XA",
}

// verbOf is the word in upper case.
func verbOf(word []byte) string {
	var upper [longestKeyword]byte
	if len(word) <= len(upper) {
		for i, c := range word {
			if c >= 'a' && c <= 'z' {
				c -= 'a' - 'A'
			}
			upper[i] = c
		}
		if v, ok := verbs[string(upper[:len(word)])]; ok {
			return v
		}
	}
	return strings.ToUpper(string(word[:min(len(word), 64)]))
}
