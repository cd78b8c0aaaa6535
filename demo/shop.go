package demo

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

//go:embed shop.sql
var shopSQL string

// How much is in the shop. Small: the demo fills it within seconds.
const (
	users     = 1000
	orders    = 2 * users
	items     = 2 * orders
	products  = 200
	comments  = 1000
	batchRows = 250
)

var (
	firstNames = []string{"Ada", "Ben", "Chidi", "Dana", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Kaya", "Liv", "Mina", "Noor", "Otto", "Pia"}
	lastNames  = []string{"Abe", "Berg", "Costa", "Diaz", "Eriksen", "Fischer", "Garcia", "Hoang", "Ito", "Jansen", "Kumar", "Li", "Moreau", "Novak"}
	statuses   = []string{"new", "paid", "shipped", "returned"}
	bodies     = []string{"as described", "arrived late", "would buy again", "smaller than it looks", "a present, well received"}
	countries  = [][2]string{{"BR", "Brazil"}, {"CN", "China"}, {"DE", "Germany"}, {"FR", "France"}, {"IN", "India"}, {"JP", "Japan"}, {"KE", "Kenya"}, {"NO", "Norway"}, {"US", "United States"}, {"VN", "Viet Nam"}}
)

// openShop connects to Serval. Values are sent as text in the statement, so
// that a batch is one round trip.
func openShop(addr string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = user, password, "tcp", addr
	cfg.InterpolateParams = true
	cfg.Timeout = 5 * time.Second
	cfg.Logger = new(mysql.NopLogger) // errors are returned, too
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to serval: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// fill creates the tables and their rows; it returns how many rows.
func fill(ctx context.Context, db *sql.DB) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	for _, statement := range strings.Split(shopSQL, ";\n") {
		if statement = strings.TrimSpace(statement); statement == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return 0, fmt.Errorf("%s: %w", strings.SplitN(statement, "\n", 2)[0], err)
		}
	}
	total := 0
	for _, t := range shopRows(time.Now().UTC().Truncate(time.Second)) {
		if err := insert(ctx, db, t); err != nil {
			return total, err
		}
		total += len(t.rows)
	}
	return total, nil
}

// table is rows to insert.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

// insert sends the rows in batches.
func insert(ctx context.Context, db *sql.DB, t table) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(t.columns)), ", ") + ")"
	head := "INSERT INTO " + schema + "." + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES "
	for start := 0; start < len(t.rows); start += batchRows {
		rows := t.rows[start:min(start+batchRows, len(t.rows))]
		args := make([]any, 0, len(rows)*len(t.columns))
		for _, row := range rows {
			args = append(args, row...)
		}
		query := head + one + strings.Repeat(", "+one, len(rows)-1)
		if _, err := db.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("fill %s: %w", t.name, err)
		}
	}
	return nil
}

// shopRows makes the shop's rows, always the same but for their dates, which
// lie in the month of now.
func shopRows(now time.Time) []table {
	r := rand.New(rand.NewPCG(1, 2))
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	elapsed := max(int64(now.Sub(month)/time.Second), 1)
	when := func() string { return month.Add(time.Duration(r.Int64N(elapsed)) * time.Second).Format(time.DateTime) }
	cents := func(most int) string { return fmt.Sprintf("%d.%02d", 1+r.IntN(most), r.IntN(100)) }
	pick := func(of []string) string { return of[r.IntN(len(of))] }

	land := table{name: "countries", columns: []string{"code", "name"}}
	for _, c := range countries {
		land.rows = append(land.rows, []any{c[0], c[1]})
	}
	people := table{name: "users", columns: []string{"id", "name", "email", "country", "created_at"}}
	for id := 1; id <= users; id++ {
		name := pick(firstNames) + " " + pick(lastNames)
		email := fmt.Sprintf("%s.%d@example.com", strings.ToLower(strings.ReplaceAll(name, " ", ".")), id)
		people.rows = append(people.rows, []any{id, name, email, countries[r.IntN(len(countries))][0], when()})
	}
	bought := table{name: "orders", columns: []string{"id", "user_id", "status", "total", "created_at"}}
	paid := table{name: "payment_logs", columns: []string{"id", "order_id", "user_id", "amount", "paid_at"}}
	buyer := make([]int, orders+1)
	for id := 1; id <= orders; id++ {
		buyer[id] = 1 + r.IntN(users)
		status, total, at := pick(statuses), cents(500), when()
		bought.rows = append(bought.rows, []any{id, buyer[id], status, total, at})
		if status != "new" {
			paid.rows = append(paid.rows, []any{id, id, buyer[id], total, at})
		}
	}
	lines := table{name: "order_items", columns: []string{"id", "order_id", "user_id", "item_id", "quantity", "price"}}
	for id := 1; id <= items; id++ {
		order := 1 + r.IntN(orders)
		lines.rows = append(lines.rows, []any{id, order, buyer[order], 1 + r.IntN(products), 1 + r.IntN(5), cents(100)})
	}
	said := table{name: "comments", columns: []string{"id", "item_id", "user_id", "stars", "body"}}
	for id := 1; id <= comments; id++ {
		said.rows = append(said.rows, []any{id, 1 + r.IntN(products), 1 + r.IntN(users), 1 + r.IntN(5), pick(bodies)})
	}
	return []table{land, people, bought, lines, said, paid}
}
