package tpch

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Data is a database of some size. The zero Seed is a good one: every query
// finds rows at scale 0.05.
type Data struct {
	// Scale is the specification's scale factor; 1 is 6,000,000 lineitems.
	Scale float64
	Seed  uint64
}

// batchBytes is about how long one INSERT gets.
const batchBytes = 128 << 10

// Load makes the tables in the current database and fills them. Not finished
// where ctx ends or exec fails; its error is returned.
func (d Data) Load(ctx context.Context, exec func(ctx context.Context, sql string) error) error {
	for i, t := range Tables {
		if err := exec(ctx, t.Create); err != nil {
			return fmt.Errorf("create %s: %w", t.Name, err)
		}
		head := "INSERT INTO " + t.Name + " VALUES "
		g := generator{d: d, b: []byte(head)}
		send := func() error {
			if len(g.b) == len(head) {
				return nil
			}
			err := exec(ctx, string(g.b))
			g.b = g.b[:len(head)]
			return err
		}
		for key := 1; key <= d.count(t.Name); key++ {
			g.rand = rand.New(rand.NewPCG(d.Seed<<8|uint64(i), uint64(key)))
			g.rows(t.Name, key)
			if len(g.b) < batchBytes {
				continue
			}
			if err := send(); err != nil {
				return fmt.Errorf("fill %s: %w", t.Name, err)
			}
		}
		if err := send(); err != nil {
			return fmt.Errorf("fill %s: %w", t.Name, err)
		}
	}
	return nil
}

// count is how many keys a table's rows are made from: partsupp is made part
// by part, lineitem order by order.
func (d Data) count(table string) int {
	of := func(n float64) int { return max(1, int(math.Round(n*d.Scale))) }
	switch table {
	case "region":
		return len(regions)
	case "nation":
		return len(nations)
	case "supplier":
		return max(10, of(10_000))
	case "part", "partsupp":
		return of(200_000)
	case "customer":
		return max(10, of(150_000))
	}
	return of(1_500_000)
}

// generator appends rows as VALUES tuples, each made from its key alone.
type generator struct {
	d    Data
	rand *rand.Rand
	b    []byte
}

// rows appends the rows of one key.
func (g *generator) rows(table string, key int) {
	switch table {
	case "region":
		g.row(key-1, regions[key-1], g.text(31, 115))
	case "nation":
		g.row(key-1, nations[key-1].name, nations[key-1].region, g.text(31, 114))
	case "supplier":
		g.supplier(key)
	case "part":
		g.part(key)
	case "partsupp":
		for _, s := range g.d.suppliersOf(key) {
			g.row(key, s, g.between(1, 9999), g.money(100, 100_000), g.text(49, 198))
		}
	case "customer":
		nation := g.between(0, 24)
		g.row(key, fmt.Sprintf("Customer#%09d", key), g.address(), nation, g.phone(nation), g.money(-99_999, 999_999),
			pick(g, segments), g.text(29, 116))
	case "orders":
		g.order(key)
	case "lineitem":
		o := g.makeOrder(key)
		for i, l := range o.lines {
			g.row(o.key, l.part, l.supplier, i+1, l.quantity, l.price, l.discount, l.tax, l.flag, l.status,
				l.ship, l.commit, l.receipt, pick(g, instructions), pick(g, modes), g.text(10, 43))
		}
	}
}

// Of every 10,000 suppliers five have had complaints and five recommendations;
// of few suppliers some have, too.
const tellingSuppliers = 2000

func (g *generator) supplier(key int) {
	nation := g.between(0, 24)
	comment := g.text(25, 100)
	few := min(tellingSuppliers, g.d.count("supplier")/2)
	for n, word := range map[int]string{3: "Complaints", 4: "Recommends"} {
		if key%few == n {
			comment = comment[:10] + "Customer " + pick(g, adverbs) + " " + word
		}
	}
	g.row(key, fmt.Sprintf("Supplier#%09d", key), g.address(), nation, g.phone(nation), g.money(-99_999, 999_999), comment)
}

func (g *generator) part(key int) {
	name := ""
	for i, c := range g.rand.Perm(len(colours))[:5] {
		if i > 0 {
			name += " "
		}
		name += colours[c]
	}
	maker := g.between(1, 5)
	g.row(key, name, fmt.Sprintf("Manufacturer#%d", maker), fmt.Sprintf("Brand#%d%d", maker, g.between(1, 5)),
		pick(g, typeSizes)+" "+pick(g, typeFinishes)+" "+pick(g, typeMetals), g.between(1, 50),
		pick(g, containerSizes)+" "+pick(g, containerKinds), retailPrice(key), g.text(5, 22))
}

// retailPrice of a part, in cents.
func retailPrice(part int) cents { return cents(90_000 + part/10%20_001 + 100*(part%1000)) }

// suppliersOf are the four suppliers of a part. Few suppliers would meet
// themselves in the specification's formula; the next one is taken then.
func (d Data) suppliersOf(part int) [4]int {
	var out [4]int
	n := d.count("supplier")
	for i := range out {
		s := (part + i*(n/4+(part-1)/n)) % n
		for taken := true; taken; {
			taken = false
			for _, other := range out[:i] {
				taken = taken || other == s+1
			}
			if taken {
				s = (s + 1) % n
			}
		}
		out[i] = s + 1
	}
	return out
}

// order is an order with its lines: its price and status are made of theirs.
type order struct {
	key, customer int
	date          day
	status        string
	price         cents
	lines         []line
}

type line struct {
	part, supplier        int
	quantity              cents
	price, discount, tax  cents
	flag, status          string
	ship, commit, receipt day
}

const (
	// orderDays is the last order date, 151 days before the end of 1998.
	orderDays = 2405
	// today is 1995-06-17.
	today day = 1263
)

// makeOrder is order n; the generator of its line items asks for it again.
func (g *generator) makeOrder(n int) order {
	// The key's third lowest bits stay zero: eight keys of every 32.
	o := order{key: (n-1)/8*32 + (n-1)%8 + 1}
	r := rand.New(rand.NewPCG(g.d.Seed<<8|0xff, uint64(n)))
	among := func(lo, hi int) int { return lo + r.IntN(hi-lo+1) }
	customers := g.d.count("customer")
	for o.customer%3 == 0 { // a third of the customers never orders
		o.customer = among(1, customers)
	}
	o.date = day(among(0, orderDays))
	open := 0
	total := 0
	o.lines = make([]line, among(1, 7))
	for i := range o.lines {
		l := line{part: among(1, g.d.count("part")), quantity: cents(100 * among(1, 50)), discount: cents(among(0, 10)), tax: cents(among(0, 8))}
		l.supplier = g.d.suppliersOf(l.part)[among(0, 3)]
		l.price = l.quantity / 100 * retailPrice(l.part)
		l.ship = o.date + day(among(1, 121))
		l.commit = o.date + day(among(30, 90))
		l.receipt = l.ship + day(among(1, 30))
		l.flag, l.status = "N", "F"
		if l.receipt <= today {
			l.flag = []string{"R", "A"}[among(0, 1)]
		}
		if l.ship > today {
			l.status = "O"
			open++
		}
		total += int(l.price) * int(100-l.discount) * int(100+l.tax)
		o.lines[i] = l
	}
	o.price = cents((total + 5000) / 10_000)
	o.status = "P"
	switch open {
	case 0:
		o.status = "F"
	case len(o.lines):
		o.status = "O"
	}
	return o
}

func (g *generator) order(n int) {
	o := g.makeOrder(n)
	clerks := max(1, int(1000*g.d.Scale))
	g.row(o.key, o.customer, o.status, o.price, o.date, pick(g, priorities), fmt.Sprintf("Clerk#%09d", g.between(1, clerks)), 0, g.text(19, 78))
}

// cents is a DECIMAL with two places; day a DATE as days since 1992-01-01.
type (
	cents int
	day   int
)

var start = time.Date(1992, 1, 1, 0, 0, 0, 0, time.UTC)

// row appends one tuple of int, cents, day and string values; strings have
// nothing to escape.
func (g *generator) row(values ...any) {
	if g.b[len(g.b)-1] == ')' {
		g.b = append(g.b, ',')
	}
	g.b = append(g.b, '(')
	for i, v := range values {
		if i > 0 {
			g.b = append(g.b, ',')
		}
		switch v := v.(type) {
		case int:
			g.b = strconv.AppendInt(g.b, int64(v), 10)
		case cents:
			if v < 0 {
				g.b, v = append(g.b, '-'), -v
			}
			g.b = fmt.Appendf(g.b, "%d.%02d", v/100, v%100)
		case day:
			g.b = append(start.AddDate(0, 0, int(v)).AppendFormat(append(g.b, '\''), time.DateOnly), '\'')
		case string:
			g.b = append(append(append(g.b, '\''), v...), '\'')
		}
	}
	g.b = append(g.b, ')')
}

func (g *generator) between(lo, hi int) int { return lo + g.rand.IntN(hi-lo+1) }

func (g *generator) money(lo, hi int) cents { return cents(g.between(lo, hi)) }

func pick(g *generator, from []string) string { return from[g.rand.IntN(len(from))] }

func (g *generator) address() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,. "
	b := make([]byte, g.between(10, 40))
	for i := range b {
		b[i] = letters[g.rand.IntN(len(letters))]
	}
	return string(b)
}

func (g *generator) phone(nation int) string {
	return fmt.Sprintf("%d-%d-%d-%d", nation+10, g.between(100, 999), g.between(100, 999), g.between(1000, 9999))
}

// text is sentences of lo to hi characters.
func (g *generator) text(lo, hi int) string {
	n := g.between(lo, hi)
	b := make([]byte, 0, n+64)
	for len(b) < n {
		for i, words := range [][]string{adverbs, adjectives, nouns, verbs} {
			if len(b) > 0 && (i > 0 || len(b) < n) {
				b = append(b, ' ')
			}
			b = append(b, pick(g, words)...)
		}
		b = append(b, '.')
	}
	return string(b[:n])
}
