package topology

import (
	"strconv"
	"strings"
)

// HasGTIDs reports whether the set executed contains every transaction of
// wanted, both as servers spell them: MySQL's "uuid:1-5:7,uuid:tag:1", or
// MariaDB's positions "0-1-42,1-2-7", where a domain's sequence number stands
// for all before it. Nothing wanted is always there; what can't be read never is.
func HasGTIDs(executed, wanted string) bool {
	for wanted != "" {
		var one string
		one, wanted, _ = strings.Cut(wanted, ",")
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		if strings.IndexByte(one, ':') >= 0 {
			if !hasMySQL(executed, one) {
				return false
			}
		} else if !hasMariaDB(executed, one) {
			return false
		}
	}
	return true
}

// hasMySQL: one is "uuid:…", intervals and tags behind it.
func hasMySQL(executed, one string) bool {
	uuid, rest, _ := strings.Cut(one, ":")
	tag, some := "", false
	for rest != "" {
		var field string
		field, rest, _ = strings.Cut(rest, ":")
		from, to, ok := interval(field)
		if !ok {
			tag = strings.TrimSpace(field)
			continue
		}
		some = true
		if !covers(executed, uuid, tag, from, to) {
			return false
		}
	}
	return some
}

// covers reports whether one interval of the set contains from-to: servers
// write sets with neighbouring intervals joined.
func covers(set, uuid, tag string, from, to uint64) bool {
	for set != "" {
		var one string
		one, set, _ = strings.Cut(set, ",")
		source, rest, _ := strings.Cut(strings.TrimSpace(one), ":")
		if !strings.EqualFold(source, uuid) {
			continue
		}
		at := ""
		for rest != "" {
			var field string
			field, rest, _ = strings.Cut(rest, ":")
			a, b, ok := interval(field)
			if !ok {
				at = strings.TrimSpace(field)
			} else if strings.EqualFold(at, tag) && a <= from && to <= b {
				return true
			}
		}
	}
	return false
}

// interval reads "5" or "1-5"; anything else is a tag.
func interval(s string) (from, to uint64, ok bool) {
	a, b, isRange := strings.Cut(strings.TrimSpace(s), "-")
	from, err := strconv.ParseUint(a, 10, 64)
	if err != nil {
		return 0, 0, false
	}
	if !isRange {
		return from, from, true
	}
	to, err = strconv.ParseUint(b, 10, 64)
	return from, to, err == nil && from <= to
}

// hasMariaDB: one is "domain-server-sequence".
func hasMariaDB(executed, one string) bool {
	domain, sequence, ok := mariaDB(one)
	if !ok {
		return false
	}
	for executed != "" {
		var pos string
		pos, executed, _ = strings.Cut(executed, ",")
		if d, s, ok := mariaDB(strings.TrimSpace(pos)); ok && d == domain && s >= sequence {
			return true
		}
	}
	return false
}

func mariaDB(s string) (domain string, sequence uint64, ok bool) {
	domain, rest, ok := strings.Cut(s, "-")
	if !ok {
		return "", 0, false
	}
	_, seq, ok := strings.Cut(rest, "-")
	if !ok {
		return "", 0, false
	}
	sequence, err := strconv.ParseUint(seq, 10, 64)
	return domain, sequence, err == nil
}
