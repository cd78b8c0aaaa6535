package shardrule

import "strconv"

// Args are a rule's parameters by name. The zero Args has none. Immutable.
type Args map[string]Arg

// Arg is the value of a parameter.
type Arg struct {
	// Text of a parameter that is no mapping.
	Text string
	// Pairs of one that is, in their order.
	Pairs []Pair
}

// Pair is one entry of a mapping.
type Pair struct{ Key, Value string }

// Has reports whether the parameter is given.
func (a Args) Has(name string) bool {
	_, ok := a[name]
	return ok
}

// Text is a parameter, or what is meant where it is not given.
func (a Args) Text(name, otherwise string) string {
	if v, ok := a[name]; ok {
		return v.Text
	}
	return otherwise
}

// Int is a whole number within bounds, or what is meant where it is not given.
// The error is a *RuleError.
func (a Args) Int(name string, otherwise, least, most int64) (int64, error) {
	v, ok := a[name]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if err != nil || n < least || n > most {
		return otherwise, paramError(name, "give a whole number from "+strconv.FormatInt(least, 10)+" to "+strconv.FormatInt(most, 10),
			"%s cannot be %s", name, v.Text)
	}
	return n, nil
}
