package parser

// definitions reads the list behind the one WITH of a text that begins with it.
func (k *sketcher) definitions() {
	if k.c.word(0) != "WITH" || !k.sure {
		return
	}
	for i := range k.c.tokens {
		if i > 0 && k.c.tokens[i].kw == kwWith && k.c.word(i+1) != "ROLLUP" {
			return
		}
	}
	i := 1
	if k.c.word(i) == "RECURSIVE" {
		k.out.Recursive = true
		i++
	}
	var all []Definition
	for {
		if _, ok := k.c.name(i); !ok {
			return
		}
		d := Definition{Name: Span{k.c.tokens[i].start, k.c.tokens[i].end}}
		if i++; k.opens(i) {
			i = k.closes(i) + 1
		}
		if k.c.word(i) != "AS" || !k.opens(i+1) {
			return
		}
		end := k.closes(i + 1)
		if end == len(k.c.tokens) {
			return
		}
		for j := i + 2; j < end; j++ {
			word := k.c.word(j)
			d.Chooses = d.Chooses || word == "LIMIT" || word == "OVER" || word == "FETCH"
		}
		d.Body = Span{k.c.tokens[i+1].start, k.c.tokens[end].end}
		d.Span = Span{d.Name.Start, d.Body.End}
		all = append(all, d)
		if i = end + 1; i >= len(k.c.tokens) || k.c.sql[k.c.tokens[i].start] != ',' {
			break
		}
		i++
	}
	k.out.Definitions = all
}

// closes is the parenthesis that closes the one at i; behind the last token
// where there is none.
func (k *sketcher) closes(i int) int {
	depth := 0
	for ; i < len(k.c.tokens); i++ {
		if k.c.tokens[i].kind != tokenPunct {
			continue
		}
		switch k.c.sql[k.c.tokens[i].start] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}
