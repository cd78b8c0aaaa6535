package shardrule

import (
	"fmt"
	"slices"
	"strings"
)

// Function is one algorithm as rules name it: what it is called, which
// parameters it takes, and how it is made of them. Exactly one of Counted,
// Listed and Periodic is set.
type Function struct {
	Name string
	// Params are its own parameters; those that stand in the parentheses
	// without a name are taken in this order.
	Params []Param
	// Counted makes it over as many shards as the rule's shards: says.
	Counted func(a Args, shards int) (Algorithm, error)
	// Listed makes it over as many shards as its parameters name.
	Listed func(a Args) (Algorithm, error)
	// Periodic is the calendar of a function of time, which has one shard for
	// each of its periods that has a table.
	Periodic func(a Args) (Calendar, error)
}

// Param is a parameter of a Function: a key beside shard:, or in its
// parentheses.
type Param struct {
	Name string
	// Map: it is a mapping. Pairs in the parentheses belong to the first such
	// parameter.
	Map bool
	// List: it is a list, one entry a shard; its Pairs have the shards as keys. A
	// mapping from shards says the same.
	List bool
}

// functions is the table of all algorithms: one line and one file for each.
func functions() []Function {
	return []Function{
		hashFunction(),
		modFunction(),
		jumpFunction(),
		murmurFunction(),
		rangeFunction(),
		listFunction(),
		timeFunction("year", Year),
		timeFunction("month", Month),
		timeFunction("week", Week),
		timeFunction("day", Day),
		timeFunction("hour", Hour),
		daysFunction(),
	}
}

// FunctionOf finds a function by the name a rule gives it.
func FunctionOf(name string) (Function, bool) {
	for _, f := range append(functions(), foreignFunctions()...) {
		if f.Name == name {
			return f, true
		}
	}
	return Function{}, false
}

// FunctionNames are the names of our own functions in the table's order.
func FunctionNames() []string {
	var names []string
	for _, f := range functions() {
		names = append(names, f.Name)
	}
	return names
}

// Params are all parameters of all functions by name, with the functions that
// take them.
func Params() (byName map[string]Param, takers map[string][]string) {
	byName, takers = map[string]Param{}, map[string][]string{}
	for _, f := range append(functions(), foreignFunctions()...) {
		for _, p := range f.Params {
			other := byName[p.Name]
			p.Map, p.List = p.Map || other.Map, p.List || other.List
			byName[p.Name] = p
			takers[p.Name] = append(takers[p.Name], f.Name)
		}
	}
	return byName, takers
}

func (f Function) param(name string) (Param, bool) {
	i := slices.IndexFunc(f.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	return f.Params[i], true
}

// Rule is what shard: says: a function, its key and its parameters. Immutable.
type Rule struct {
	// Name is the function's.
	Name string
	// Columns are the sharding columns.
	Columns []string
	// Key is the expression over the column that is the key; empty where the
	// column itself is.
	Key  string
	Args Args
	// Count is the number behind x, 0 where there is none.
	Count int
	// Terms are those of a rule of several functions; its Name and Columns are
	// theirs, and it has no Key and Args of its own.
	Terms []Term
}

// Function is the rule's function; the zero Function for the zero Rule, and one
// that has a name only for a rule of several.
func (r Rule) Function() Function {
	if r.Composite() {
		return Function{Name: r.Name}
	}
	f, _ := FunctionOf(r.Name)
	return f
}

// Try makes the rule's algorithm to see whether its parameters are right, and
// says how many shards it has where they say so. The error is a *RuleError.
func (r Rule) Try(shards int) (int, error) {
	c, err := r.Calendar()
	if err != nil {
		return 0, err
	}
	a, err := r.Algorithm(shards, Periods{List: []Period{c.at(clock{2000, 1, 1, 0})}})
	if err != nil {
		return 0, err
	}
	return a.Shards(), nil
}

// Calendar is that of a function of time, the zero Calendar of any other. The
// error is a *RuleError.
func (r Rule) Calendar() (Calendar, error) {
	if r.Composite() {
		return r.Terms[0].Calendar()
	}
	if f := r.Function(); f.Periodic != nil {
		return f.Periodic(r.Args)
	}
	return Calendar{}, nil
}

// Algorithm makes the rule's algorithm: over shards, or, of a function of time,
// over periods.
func (r Rule) Algorithm(shards int, over Periods) (Algorithm, error) {
	if r.Composite() {
		parts, err := r.Parts(over)
		if err != nil {
			return nil, err
		}
		return NewComposite(parts), nil
	}
	a, err := r.function(shards, over)
	if err != nil || r.Key == "" {
		return a, err
	}
	e, _, err := parseExpr(r.Key)
	if err != nil {
		return nil, paramError("", "write an expression over one column", "the key cannot be %s: %s", r.Key, err)
	}
	return newDerived(e, a), nil
}

// function makes the algorithm of the rule's function.
func (r Rule) function(shards int, over Periods) (Algorithm, error) {
	f := r.Function()
	switch {
	case f.Counted != nil:
		return f.Counted(r.Args, shards)
	case f.Listed != nil:
		return f.Listed(r.Args)
	case f.Periodic != nil:
		c, err := f.Periodic(r.Args)
		if err != nil {
			return nil, err
		}
		return NewTime(f.Name, c, r.Args, over)
	}
	return nil, paramError("", "use one of "+strings.Join(FunctionNames(), ", "), "unknown shard function %s", r.Name)
}

// RuleError is what is wrong with a rule. Param is the parameter it is about,
// empty for the text of shard: itself.
type RuleError struct {
	Param    string
	What, Do string
}

func (e *RuleError) Error() string { return e.What + "; " + e.Do }

func paramError(param, do, what string, args ...any) *RuleError {
	return &RuleError{Param: param, What: fmt.Sprintf(what, args...), Do: do}
}

// ParseRule reads the text of shard:. near is what to say of an unknown name,
// of those that are known. The error is a *RuleError.
func ParseRule(text string, near func(name string, known []string) string) (Rule, error) {
	text = strings.TrimSpace(text)
	open := 0
	eachTop(text, func(_ int, _ byte, depth int) bool { open = depth; return true })
	if open > 0 {
		return Rule{}, paramError("", `close the parenthesis; within { } a comma ends a value, so put it in quotes: shard: "…"`, "shard cannot be %s", text)
	}
	terms, err := splitTerms(text)
	if err != nil {
		return Rule{}, err
	}
	if len(terms) > 1 {
		return parseTerms(terms, near)
	}
	r, err := parseOne(terms[0].text, near)
	if r.Count = terms[0].count; err == nil && r.Count > 0 && r.Function().Counted == nil {
		return Rule{}, paramError("", "leave it out", "%s takes no number of shards", r.Name)
	}
	return r, err
}

// parseOne reads one function of a column.
func parseOne(text string, near func(name string, known []string) string) (Rule, error) {
	const form = "write a function of a column: shard: hash(column); the functions are in docs/rules.md"
	name, inside, ok := splitCall(text)
	if !ok {
		return Rule{}, paramError("", form, "shard cannot be %s", text)
	}
	f, ok := FunctionOf(strings.ToLower(name))
	if !ok {
		return Rule{}, paramError("", near(strings.ToLower(name), namesLike(strings.ToLower(name))), "unknown shard function %s", name)
	}
	r := Rule{Name: f.Name, Args: Args{}}
	next := 0 // the parameter that a value without a name is of
	for i, part := range splitTop(inside, ',') {
		part = strings.TrimSpace(part)
		if i == 0 {
			if err := r.setKey(part); err != nil {
				return Rule{}, paramError("", form, "shard cannot be %s: %s", text, err)
			}
			continue
		}
		if err := r.addArg(f, part, &next, near); err != nil {
			return Rule{}, err
		}
	}
	return r, nil
}

// setKey reads the column, or the expression over one.
func (r *Rule) setKey(text string) error {
	column, err := columnName(text)
	if err == nil {
		r.Columns = []string{column}
		return nil
	}
	if text == "" {
		return fmt.Errorf("it names no column")
	}
	if !slices.ContainsFunc(functions(), func(f Function) bool { return f.Name == r.Name }) {
		return fmt.Errorf("%s takes a column", r.Name)
	}
	_, column, err = parseExpr(text)
	r.Columns, r.Key = []string{column}, text
	return err
}

// addArg reads one argument behind the key: name=value, name: value, a pair of
// a mapping, or the value of the next parameter.
func (r *Rule) addArg(f Function, part string, next *int, near func(string, []string) string) error {
	names := make([]string, len(f.Params))
	for i, p := range f.Params {
		names[i] = p.Name
	}
	key, value, paired := cutTop(part)
	if p, ok := f.param(key); paired && ok {
		if r.Args.Has(key) {
			return paramError("", "give it once", "%s has %s twice", f.Name, key)
		}
		if p.Map || p.List {
			return paramError("", "give "+key+": as a key of its own beside shard:", "%s cannot stand in the parentheses of %s", key, f.Name)
		}
		r.Args[key] = Arg{Text: unquoted(value)}
		return nil
	}
	if m := slices.IndexFunc(f.Params, func(p Param) bool { return p.Map }); paired && m >= 0 {
		a := r.Args[names[m]]
		a.Pairs = append(a.Pairs, Pair{Key: unquoted(key), Value: unquoted(value)})
		r.Args[names[m]] = a
		return nil
	}
	switch {
	case paired && len(names) > 0 && !f.Params[0].List:
		return paramError("", near(key, names), "%s has no parameter %s", f.Name, key)
	case paired || *next >= len(names) || f.Params[*next].Map || f.Params[*next].List:
		return paramError("", "name one column, and nothing else it does not take", "%s does not take %s", f.Name, part)
	}
	r.Args[names[*next]] = Arg{Text: unquoted(part)}
	*next++
	return nil
}

// columnName is a column as a rule writes it, in backticks or not.
func columnName(text string) (string, error) {
	if n := len(text); n > 2 && text[0] == '`' && text[n-1] == '`' && !strings.Contains(text[1:n-1], "`") {
		return text[1 : n-1], nil
	}
	for i := range len(text) {
		if !isNameByte(text[i]) {
			return "", fmt.Errorf("%q is no column", text)
		}
	}
	if text == "" || leadingDigits([]byte(text)) == len(text) {
		return "", fmt.Errorf("%q is no column", text)
	}
	return text, nil
}

// splitCall takes name(inside) apart.
func splitCall(text string) (name, inside string, ok bool) {
	name, rest, ok := strings.Cut(text, "(")
	name = strings.TrimSpace(name)
	inside, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed || name == "" || strings.ContainsAny(name, " \t,`'\"=:") {
		return "", "", false
	}
	depth := 0
	eachTop(inside, func(_ int, _ byte, d int) bool { depth = min(depth, d); return true })
	return name, inside, depth == 0
}

// eachTop calls f with each byte outside quotes and the depth of parentheses
// behind it, until it returns false.
func eachTop(text string, f func(i int, b byte, depth int) bool) {
	depth := 0
	quote := byte(0)
	for i := range len(text) {
		b := text[i]
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
			continue
		case b == '\'' || b == '"' || b == '`':
			quote = b
			continue
		case b == '(':
			depth++
		case b == ')':
			depth--
		}
		if !f(i, b, depth) {
			return
		}
	}
}

// splitTop cuts at each separator outside quotes and parentheses.
func splitTop(text string, separator byte) []string {
	var parts []string
	from := 0
	eachTop(text, func(i int, b byte, depth int) bool {
		if b == separator && depth == 0 {
			parts = append(parts, text[from:i])
			from = i + 1
		}
		return true
	})
	return append(parts, text[from:])
}

// cutTop cuts name=value or key: value in two, at the first = or else at the
// last colon: a key may be a time.
func cutTop(text string) (key, value string, ok bool) {
	equals, colon := -1, -1
	eachTop(text, func(i int, b byte, depth int) bool {
		switch {
		case depth != 0:
		case b == '=' && equals < 0:
			equals = i
		case b == ':':
			colon = i
		}
		return true
	})
	at := max(colon, equals)
	if equals >= 0 {
		at = equals
	}
	if at < 0 {
		return text, "", false
	}
	return strings.TrimSpace(text[:at]), strings.TrimSpace(text[at+1:]), true
}

// unquoted is a value without the quotes around it.
func unquoted(v string) string {
	if n := len(v); n >= 2 && (v[0] == '\'' || v[0] == '"') && v[n-1] == v[0] {
		return v[1 : n-1]
	}
	return v
}
