package session

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// zones remembers the time zones that sessions have named. Safe for concurrent
// use. There are some hundreds of names.
type zones struct {
	mu    sync.Mutex
	named map[string]*time.Location // guarded by mu; nil for one that is none
}

// find is the zone of a time_zone, an offset or a name; false where it is
// SYSTEM or not known.
func (z *zones) find(text string) (*time.Location, bool) {
	if text == "" || strings.EqualFold(text, "SYSTEM") {
		return nil, false
	}
	if zone, ok := offsetZone(text); ok {
		return zone, true
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	zone, known := z.named[text]
	if !known {
		zone, _ = time.LoadLocation(text) // nil then
		if strings.EqualFold(text, "local") {
			zone = nil
		}
		if z.named == nil {
			z.named = map[string]*time.Location{}
		}
		if len(z.named) < maxZones {
			z.named[text] = zone
		}
	}
	return zone, zone != nil
}

// maxZones bounds what is remembered.
const maxZones = 4096

// offsetZone reads +08:00.
func offsetZone(text string) (*time.Location, bool) {
	if text[0] != '+' && text[0] != '-' {
		return nil, false
	}
	h, m, ok := strings.Cut(text[1:], ":")
	hours, err := strconv.Atoi(h)
	minutes, err2 := strconv.Atoi(m)
	if !ok || err != nil || err2 != nil {
		return nil, false
	}
	seconds := (hours*60 + minutes) * 60
	if text[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone(text, seconds), true
}

// Zone implements shardrule.Zoner. A session that sets SYSTEM means the server's
// machine, which Serval does not know.
func (w *weigher) Zone() (*time.Location, bool) {
	text := w.otherwise
	if w.session != nil {
		if sql, ok := w.session.value("time_zone"); ok {
			text = unquoteIfString(sql)
		}
	}
	return w.shared.zones.find(text)
}
