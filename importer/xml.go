package importer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// element is an XML element with its attributes and what stands in it.
type element struct {
	name     string // with its prefix: mycat:schema
	attrs    map[string]string
	text     string
	children []*element
}

// all are the elements of a name within, at any depth.
func (e *element) all(name string) []*element {
	var out []*element
	for _, c := range e.children {
		if c.name == name {
			out = append(out, c)
		}
		out = append(out, c.all(name)...)
	}
	return out
}

// direct are the children of a name.
func (e *element) direct(name string) []*element {
	var out []*element
	for _, c := range e.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// child is the text of the first element of a name within.
func (e *element) child(name string) string {
	if all := e.all(name); len(all) > 0 {
		return strings.TrimSpace(all[0].text)
	}
	return ""
}

// attr is the first of these attributes that is there.
func (e *element) attr(names ...string) string {
	for _, n := range names {
		if v, ok := e.attrs[n]; ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// properties are <property name="…">…</property> in order.
func (e *element) properties() (values map[string]string, order []string) {
	values = map[string]string{}
	for _, p := range e.direct("property") {
		name := p.attr("name")
		if _, twice := values[name]; !twice {
			order = append(order, name)
		}
		values[name] = strings.TrimSpace(p.text)
	}
	return values, order
}

// mostXML bounds a file with its entities put in.
const mostXML = 64 << 20

var (
	doctype = regexp.MustCompile(`(?s)<!DOCTYPE[^\[>]*(?:\[(.*?)\]\s*)?>`)
	entity  = regexp.MustCompile(`<!ENTITY\s+([\w.-]+)\s+(SYSTEM\s+)?(?:"([^"]*)"|'([^']*)')\s*>`)
	useOf   = regexp.MustCompile(`&([\w.-]+);`)
)

// readXML reads one file, its character set and the entities its DOCTYPE
// declares, files beside it among them. The DTD itself is not asked.
func readXML(dir fs.FS, name string) (*element, error) {
	text, err := read(dir, name)
	if err != nil {
		return nil, err
	}
	text, err = toUTF8(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if text, err = withEntities(dir, text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	root, err := parseXML(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return root, nil
}

var declared = regexp.MustCompile(`^\s*<\?xml[^>]*encoding\s*=\s*["']([\w-]+)["'][^>]*\?>`)

// toUTF8 reads the text in the character set it declares.
func toUTF8(text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	m := declared.FindSubmatchIndex(text)
	if m == nil {
		return text, nil
	}
	name := string(text[m[2]:m[3]])
	text = text[m[1]:]
	if strings.EqualFold(name, "utf-8") {
		return text, nil
	}
	enc, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("character set %s is not known", name)
	}
	return enc.NewDecoder().Bytes(text)
}

// withEntities takes the DOCTYPE out and puts its entities in.
func withEntities(dir fs.FS, text []byte) ([]byte, error) {
	m := doctype.FindSubmatchIndex(text)
	if m == nil {
		return text, nil
	}
	entities := map[string]string{}
	if m[2] >= 0 {
		for _, e := range entity.FindAllSubmatch(text[m[2]:m[3]], -1) {
			value := string(e[3]) + string(e[4])
			if len(e[2]) > 0 {
				file, err := read(dir, value)
				if err != nil {
					return nil, fmt.Errorf("entity %s: %w", e[1], err)
				}
				if file, err = toUTF8(file); err != nil {
					return nil, fmt.Errorf("entity %s: %w", e[1], err)
				}
				value = string(file)
			}
			entities[string(e[1])] = value
		}
	}
	out := string(text[:m[0]]) + string(text[m[1]:])
	for range 5 { // entities in entities
		if !useOf.MatchString(out) || len(out) > mostXML {
			break
		}
		out = useOf.ReplaceAllStringFunc(out, func(use string) string {
			if v, ok := entities[use[1:len(use)-1]]; ok {
				return v
			}
			return use
		})
	}
	if len(out) > mostXML {
		return nil, errors.New("its entities make it too large")
	}
	return []byte(out), nil
}

func parseXML(text []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	root := &element{}
	open := []*element{root}
	for {
		token, err := d.RawToken() // prefixes as they are written
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: qualified(token.Name), attrs: map[string]string{}}
			for _, a := range token.Attr {
				e.attrs[qualified(a.Name)] = a.Value
			}
			top.children = append(top.children, e)
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 1 || top.name != qualified(token.Name) {
				return nil, fmt.Errorf("</%s> ends no element", qualified(token.Name))
			}
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
	if len(open) != 1 || len(root.children) != 1 {
		return nil, errors.New("it is not one whole XML document")
	}
	return root.children[0], nil
}

func qualified(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}
