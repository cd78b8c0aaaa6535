package wire

// Kinds of session state change (enum_session_state_type).
const (
	trackSystemVariables = 0
	trackSchema          = 1
	trackStateChange     = 2
	trackGTIDs           = 3
)

// Empty reports that nothing was tracked.
func (t *Tracked) Empty() bool {
	return len(t.Vars) == 0 && !t.SchemaChanged && !t.StateChanged && t.GTIDs == ""
}

// decode reads the state changes of an OK packet. What Serval has no use for
// (transaction characteristics and state) is stepped over.
func (t *Tracked) decode(changes []byte) error {
	for c := (cursor{b: changes}); len(c.rest()) > 0; {
		kind := c.uint8()
		entry := cursor{b: c.lenEncBytes()}
		if c.bad {
			return ErrMalformed
		}
		switch kind {
		case trackSystemVariables:
			t.decodeVars(&entry)
		case trackSchema:
			t.Schema, t.SchemaChanged = string(entry.lenEncBytes()), true
		case trackStateChange:
			t.StateChanged = entry.uint8() == '1'
		case trackGTIDs:
			entry.skip(1) // encoding specification, always 0
			t.GTIDs = string(entry.lenEncBytes())
		}
		if entry.bad {
			return ErrMalformed
		}
	}
	return nil
}

// decodeVars reads name and value pairs: MySQL puts one in an entry, MariaDB
// all the statement changed.
func (t *Tracked) decodeVars(entry *cursor) {
	for len(entry.rest()) > 0 && !entry.bad {
		name, value := entry.lenEncBytes(), entry.lenEncBytes()
		if entry.bad {
			return
		}
		if string(name) == "statement_id" {
			// MySQL counts statements in it and, asked to track everything,
			// reports it with every one of them: state of nobody's.
			continue
		}
		if string(name) == "last_gtid" {
			t.GTIDs = string(value)
		}
		t.Vars = append(t.Vars, TrackedVar{Name: string(name), Value: string(value)})
	}
}

// append encodes the changes with their length in front.
func (t *Tracked) append(dst []byte) []byte {
	size := t.size()
	dst = AppendLenEncInt(dst, uint64(size))
	for _, v := range t.Vars {
		dst = append(dst, trackSystemVariables)
		dst = AppendLenEncInt(dst, uint64(lenEncSize(len(v.Name))+lenEncSize(len(v.Value))))
		dst = AppendLenEncString(AppendLenEncString(dst, v.Name), v.Value)
	}
	if t.SchemaChanged {
		dst = append(dst, trackSchema)
		dst = AppendLenEncInt(dst, uint64(lenEncSize(len(t.Schema))))
		dst = AppendLenEncString(dst, t.Schema)
	}
	if t.StateChanged {
		dst = append(dst, trackStateChange, 1, '1')
	}
	if t.hasOwnGTIDs() {
		dst = append(dst, trackGTIDs)
		dst = AppendLenEncInt(dst, uint64(1+lenEncSize(len(t.GTIDs))))
		dst = AppendLenEncString(append(dst, 0), t.GTIDs)
	}
	return dst
}

func (t *Tracked) size() int {
	size := 0
	for _, v := range t.Vars {
		size += 1 + lenEncSize(lenEncSize(len(v.Name))+lenEncSize(len(v.Value)))
	}
	if t.SchemaChanged {
		size += 1 + lenEncSize(lenEncSize(len(t.Schema)))
	}
	if t.StateChanged {
		size += 3
	}
	if t.hasOwnGTIDs() {
		size += 1 + lenEncSize(1+lenEncSize(len(t.GTIDs)))
	}
	return size
}

// hasOwnGTIDs: GTIDs that came as MariaDB's last_gtid go back among Vars.
func (t *Tracked) hasOwnGTIDs() bool {
	if t.GTIDs == "" {
		return false
	}
	for _, v := range t.Vars {
		if v.Name == "last_gtid" && v.Value == t.GTIDs {
			return false
		}
	}
	return true
}

// lenEncSize is the size of n bytes with their length in front.
func lenEncSize(n int) int {
	switch {
	case n < 0xfb:
		return 1 + n
	case n < 1<<16:
		return 3 + n
	case n < 1<<24:
		return 4 + n
	}
	return 9 + n
}
