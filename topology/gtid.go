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

// JoinGTIDs gives what stands for both sets, for a session that is to see the
// effects of both: a replica may apply transactions in another order than the
// source did. MariaDB's positions keep the largest of each domain; MySQL's of
// one server become the interval from the smallest to the largest, which may
// hold transactions of others, all of them committed before the largest. What
// can't be read is kept as it is.
func JoinGTIDs(a, b string) string {
	if a == "" || HasGTIDs(b, a) {
		return b
	}
	parts := strings.Split(a, ",")
next:
	for one := range strings.SplitSeq(b, ",") {
		one = strings.TrimSpace(one)
		for i, p := range parts {
			if joined, ok := joinOne(strings.TrimSpace(p), one); ok {
				parts[i] = joined
				continue next
			}
		}
		parts = append(parts, one)
	}
	joined := strings.Join(parts, ",")
	if len(joined) > maxJoined {
		return b // tagged ones, mostly: the newest has to do
	}
	return joined
}

// maxJoined bounds what a session keeps, in bytes.
const maxJoined = 4096

// joinOne joins two GTIDs of one domain, or of one server without tags.
func joinOne(a, b string) (string, bool) {
	if domain, n, ok := mariaDB(a); ok {
		other, m, ok := mariaDB(b)
		if !ok || domain != other {
			return "", false
		}
		if m > n {
			return b, true
		}
		return a, true
	}
	ua, ra, _ := strings.Cut(a, ":")
	ub, rb, _ := strings.Cut(b, ":")
	af, at, okA := interval(ra)
	bf, bt, okB := interval(rb)
	if !okA || !okB || !strings.EqualFold(ua, ub) {
		return "", false
	}
	return ua + ":" + strconv.FormatUint(min(af, bf), 10) + "-" + strconv.FormatUint(max(at, bt), 10), true
}
