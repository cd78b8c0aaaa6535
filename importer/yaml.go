package importer

import (
	"fmt"
	"slices"
	"strings"
)

// String is the configuration as text.
func (d *draft) String() string {
	var b strings.Builder
	comment(&b, "", d.title)
	comment(&b, "", d.notes...)
	fmt.Fprintf(&b, "listen: %s\n", quote(d.listen))
	if d.admin != "" {
		fmt.Fprintf(&b, "admin: %s\n", quote(d.admin))
	}
	b.WriteString("\nusers:\n")
	for _, u := range d.users {
		comment(&b, "  ", u.notes...)
		fmt.Fprintf(&b, "  - {name: %s, password: %s", quote(u.name), secret(u.password))
		if len(u.schemas) > 0 {
			fmt.Fprintf(&b, ", schemas: %s", quoteAll(u.schemas))
		}
		if u.readOnly {
			b.WriteString(", access: read_only")
		}
		b.WriteString("}\n")
	}
	d.writeClusters(&b)
	if d.home != "" {
		fmt.Fprintf(&b, "\nhome: %s\n", quote(d.home))
	}
	b.WriteString("\nschemas:\n")
	for _, s := range d.schemas {
		s.write(&b)
	}
	return b.String()
}

// secret is a password; one that is not known comes from the environment.
func secret(password string) string {
	if strings.HasPrefix(password, "${SERVAL_PASSWORD_") {
		return `"` + password + `"`
	}
	return quote(password)
}

func (d *draft) writeClusters(b *strings.Builder) {
	if len(d.clusters) > 0 {
		c := d.clusters[0]
		fmt.Fprintf(b, "\nbackend: {user: %s, password: %s}\n", quote(c.user), secret(c.password))
	}
	b.WriteString("\nclusters:\n")
	for _, c := range d.clusters {
		comment(b, "  ", c.notes...)
		fmt.Fprintf(b, "  %s:\n    primary: %s\n", quote(c.name), c.primary.text(0))
		if len(c.replicas) > 0 {
			var all []string
			for _, r := range c.replicas {
				all = append(all, r.text(1))
			}
			fmt.Fprintf(b, "    replicas: [%s]\n", strings.Join(all, ", "))
		}
		if c.user != d.clusters[0].user || c.password != d.clusters[0].password {
			fmt.Fprintf(b, "    backend: {user: %s, password: %s}\n", quote(c.user), secret(c.password))
		}
	}
}

func (s server) text(weight int) string {
	if s.weight == weight && s.zone == "" {
		return quote(s.addr)
	}
	out := "{addr: " + quote(s.addr)
	if s.weight != weight {
		out += fmt.Sprintf(", weight: %d", s.weight)
	}
	if s.zone != "" {
		out += ", zone: " + quote(s.zone)
	}
	return out + "}"
}

func (s *schema) write(b *strings.Builder) {
	comment(b, "  ", s.notes...)
	for _, a := range s.about {
		comment(b, "  ", strings.Join(a.tables, ", ")+":", a.note)
	}
	fmt.Fprintf(b, "  %s:\n", quote(s.name))
	if s.home != "" {
		fmt.Fprintf(b, "    home: %s\n", quote(s.home))
	}
	carried := 0
	for _, t := range s.tables {
		if !t.skipped || slices.Contains(t.at, place{cluster: s.home, database: s.name}) {
			carried++
		}
	}
	if carried == 0 {
		b.WriteString("    tables: {}\n")
	} else {
		b.WriteString("    tables:\n")
	}
	for _, t := range s.tables {
		comment(b, "      ", t.notes...)
		mark := "      "
		if t.skipped {
			mark += "# "
		}
		fmt.Fprintf(b, "%s%s:\n", mark, quote(t.name))
		for _, l := range t.lines {
			fmt.Fprintf(b, "%s  %s: %s\n", mark, l.key, l.value)
		}
		if t.skipped && slices.Contains(t.at, place{cluster: s.home, database: s.name}) {
			comment(b, "      ", "A part of it stands in "+s.home+"/"+s.name+", which must not be taken for all of it:")
			fmt.Fprintf(b, "      %s: {places: [%s]}\n", quote(t.name), quote(place{s.home, s.name, "NOT_CARRIED_OVER_" + t.name}.String()))
		}
	}
}

// comment writes one comment a note.
func comment(b *strings.Builder, indent string, notes ...string) {
	for _, n := range notes {
		for l := range strings.SplitSeq(n, "\n") {
			b.WriteString(strings.TrimRight(indent+"# "+l, " ") + "\n")
		}
	}
}
