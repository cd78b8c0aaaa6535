package shardrule

import "strconv"

// mycatSubstring is Mycat's PartitionDirectBySubString: a part of the text is
// the node's number; one that is not there is the default.
type mycatSubstring struct{ start, size, count, rest int }

func mycatSubstringFunction() Function {
	return foreignFunction("mycat_substring", false, func(a Args, _ int) (nodeFunc, int, error) {
		var m mycatSubstring
		for name, to := range map[string]*int{"start": &m.start, "size": &m.size, "count": &m.count, "default": &m.rest} {
			n, err := a.Int(name, 0, 0, maxNodes)
			if err != nil {
				return nil, 0, err
			}
			*to = int(n)
		}
		return m, refusesNull, nil
	}, "start", "size", "count", "default")
}

func (m mycatSubstring) node(k Key) (int, bool) {
	chars := javaChars(k.Bytes)
	if m.start+m.size > len(chars) {
		return 0, false
	}
	n, err := strconv.ParseInt(javaText(chars[m.start:m.start+m.size]), 10, 32)
	if err == nil && m.count > 0 && int(n) >= m.count {
		return m.rest, true
	}
	return int(n), err == nil
}
