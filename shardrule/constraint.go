package shardrule

import (
	"regexp"
	"strings"

	"github.com/servaldb/serval/internal/sqlval"
)

// Servers take the name of a CHECK or FOREIGN KEY only once in a database
// (MySQL: both, MariaDB: foreign keys), so where several shards are tables of
// one database each has the client's name with what its table's name has
// behind the logical one: positive_3 on orders_3.

// madeName is a name that a server makes itself: of the table's name (t_chk_1,
// t_ibfk_1), or the same for all (MariaDB's CONSTRAINT_1).
var madeName = regexp.MustCompile(`^(?:(.+)(_(?:chk|ibfk)_[0-9]+)|CONSTRAINT_[0-9]+)$`)

// suffixOf is what a shard's table has behind the table's name, empty where the
// two are the same, or not related.
func suffixOf(logical, physical string) string {
	suffix, ok := strings.CutPrefix(physical, logical)
	if !ok {
		return ""
	}
	return suffix
}

// ShardConstraint is the constraint's name on the shard.
func ShardConstraint(name, logical, physical string) string {
	switch m := madeName.FindStringSubmatch(name); {
	case m != nil && m[1] == "":
		return name
	case m != nil && m[1] == logical:
		return physical + m[2]
	}
	return name + suffixOf(logical, physical)
}

// LogicalConstraint undoes ShardConstraint. A name that is not one of a shard
// stays.
func LogicalConstraint(name, logical, physical string) string {
	switch m := madeName.FindStringSubmatch(name); {
	case m != nil && m[1] == "":
		return name
	case m != nil && m[1] == physical:
		return logical + m[2]
	}
	return strings.TrimSuffix(name, suffixOf(logical, physical))
}

var (
	constraintLine = regexp.MustCompile("(?m)^(\\s*CONSTRAINT )(`(?:[^`]|``)*`)( (?:CHECK|FOREIGN KEY) .*)$")
	keyLine        = regexp.MustCompile("(?m)^(\\s*KEY )(`(?:[^`]|``)*`)")
	referred       = regexp.MustCompile("( REFERENCES )(`(?:[^`]|``)*`)")
	clauseName     = regexp.MustCompile("\\b(CONSTRAINT |FOREIGN KEY |REFERENCES )(`(?:[^`]|``)*`)")
)

// LogicalDefinition puts the names of constraints, of the keys made for them and
// of the tables they refer to, as a shard's SHOW CREATE TABLE has them, under the
// names that clients know. The table's own name is the caller's.
func LogicalDefinition(sql, logical, physical string) string {
	return renameDefinition(sql, func(name string) string { return LogicalConstraint(name, logical, physical) },
		func(table string) string { return strings.TrimSuffix(table, suffixOf(logical, physical)) })
}

// ShardDefinition undoes LogicalDefinition for a shard.
func ShardDefinition(sql, logical, physical string) string {
	return renameDefinition(sql, func(name string) string { return ShardConstraint(name, logical, physical) },
		func(table string) string { return table + suffixOf(logical, physical) })
}

func renameDefinition(sql string, constraint, table func(string) string) string {
	if !strings.Contains(sql, "CONSTRAINT `") {
		return sql
	}
	keys := map[string]bool{}
	sql = constraintLine.ReplaceAllStringFunc(sql, func(line string) string {
		m := constraintLine.FindStringSubmatch(line)
		if strings.HasPrefix(m[3], " FOREIGN KEY ") {
			keys[m[2]] = true
			m[3] = renameQuoted(referred, m[3], table)
		}
		return m[1] + sqlval.QuoteName(constraint(bareName(m[2]))) + m[3]
	})
	return keyLine.ReplaceAllStringFunc(sql, func(line string) string {
		if m := keyLine.FindStringSubmatch(line); keys[m[2]] {
			return m[1] + sqlval.QuoteName(constraint(bareName(m[2])))
		}
		return line
	})
}

// ShardClause is a clause of ALTER TABLE with the names of constraints, and of
// the tables they refer to, as the shard has them.
func ShardClause(clause, logical, physical string) string {
	return clauseName.ReplaceAllStringFunc(clause, func(s string) string {
		m := clauseName.FindStringSubmatch(s)
		if m[1] == "REFERENCES " {
			return m[1] + sqlval.QuoteName(bareName(m[2])+suffixOf(logical, physical))
		}
		return m[1] + sqlval.QuoteName(ShardConstraint(bareName(m[2]), logical, physical))
	})
}

// LogicalMessage puts the quoted names in a server's message about a constraint
// under those that clients know.
func LogicalMessage(msg, logical, physical string) string {
	if suffixOf(logical, physical) == "" {
		return msg
	}
	return messageName.ReplaceAllStringFunc(msg, func(s string) string {
		return s[:1] + LogicalConstraint(s[1:len(s)-1], logical, physical) + s[len(s)-1:]
	})
}

var messageName = regexp.MustCompile("'[^'`]+'|`[^'`]+`")

func renameQuoted(re *regexp.Regexp, text string, rename func(string) string) string {
	return re.ReplaceAllStringFunc(text, func(s string) string {
		m := re.FindStringSubmatch(s)
		return m[1] + sqlval.QuoteName(rename(bareName(m[2])))
	})
}

func bareName(name string) string { return strings.ReplaceAll(name[1:len(name)-1], "``", "`") }
