//go:build soak

package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// familyLoad writes bills, and lines and notes that follow them, and knows what of them
// was acknowledged. Each writer has bills of its own.
type familyLoad struct {
	db *sql.DB
	// cascades: what belongs to a bill goes with it by itself.
	cascades bool
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu    sync.Mutex
	bills map[int64]familyBill
	errs  []string
	took  []spent
}

// familyBill is a bill as it must be found; lines and notes have a number each.
type familyBill struct {
	owner        int64
	lines, notes map[int64]int64
}

// familyCreates are the tables; notes may be of no bill.
var familyCreates = []string{
	"CREATE TABLE bills (id BIGINT NOT NULL PRIMARY KEY, owner BIGINT NOT NULL, touched INT NOT NULL DEFAULT 0, KEY (owner))",
	"CREATE TABLE `lines` (bill_id BIGINT NOT NULL, line BIGINT NOT NULL, qty BIGINT, PRIMARY KEY (bill_id, line), CONSTRAINT of_bill FOREIGN KEY (bill_id) REFERENCES bills (id))",
	"CREATE TABLE notes (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, bill_id BIGINT, n BIGINT, KEY (bill_id), FOREIGN KEY (bill_id) REFERENCES bills (id))",
}

func startFamily(t *testing.T, db *sql.DB, cascades bool, writers int) *familyLoad {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &familyLoad{db: db, cascades: cascades, stop: stop, bills: map[int64]familyBill{}}
	for w := range writers {
		l.done.Go(func() { l.write(ctx, int64(w), int64(writers)) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *familyLoad) end() {
	l.stop()
	l.done.Wait()
}

func (l *familyLoad) write(ctx context.Context, w, writers int64) {
	random := rand.New(rand.NewPCG(uint64(w), 11))
	var own []int64
	next := 1000*writers + w
	for ctx.Err() == nil {
		began := time.Now()
		id, kind := next, random.IntN(12)
		if len(own) < 15 {
			kind = 0
		} else if kind > 1 {
			id = own[random.IntN(len(own))]
		}
		bill := l.bill(id)
		sql := l.change(&bill, id, kind, random)
		err := l.run(sql)
		if e := (*mysql.MySQLError)(nil); errors.As(err, &e) && e.Number == 1213 {
			continue // taken back whole
		}
		l.mu.Lock()
		if err != nil {
			l.errs = append(l.errs, fmt.Sprintf("%s writer %d: %v: %v", time.Now().Format("15:04:05.000"), w, sql, err))
			l.mu.Unlock()
			return
		}
		l.took = append(l.took, spent{began, time.Since(began)})
		switch l.bills[id] = bill; {
		case kind < 2:
			own = append(own, id)
			next += writers
		case bill.lines == nil:
			delete(l.bills, id)
			own = slices.DeleteFunc(own, func(x int64) bool { return x == id })
		}
		l.mu.Unlock()
	}
}

// change is what happens to a bill, in one transaction.
func (l *familyLoad) change(bill *familyBill, id int64, kind int, random *rand.Rand) []string {
	n := random.Int64N(1000)
	switch {
	case kind < 2:
		*bill = familyBill{owner: n, lines: map[int64]int64{1: n, 2: n}, notes: map[int64]int64{n: 1}}
		return []string{fmt.Sprintf("INSERT INTO bills (id, owner) VALUES (%d, %d)", id, n), fmt.Sprintf("INSERT INTO `lines` VALUES (%d, 1, %d), (%d, 2, %d)", id, n, id, n),
			fmt.Sprintf("INSERT INTO notes (bill_id, n) VALUES (%d, %d)", id, n)}
	case kind < 5: // to another shard, by one of the rules at least
		bill.owner = n
		return []string{fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = %d", n, id)}
	case kind < 7:
		line := int64(len(bill.lines) + 1)
		bill.lines[line] = n
		return []string{fmt.Sprintf("INSERT INTO `lines` VALUES (%d, %d, %d)", id, line, n)}
	case kind < 8:
		bill.lines[1] = n
		return []string{fmt.Sprintf("UPDATE `lines` SET qty = %d WHERE bill_id = %d AND line = 1", n, id)}
	case kind < 9:
		bill.notes[n]++
		return []string{fmt.Sprintf("INSERT INTO notes (bill_id, n) VALUES (%d, %d)", id, n)}
	case kind < 10:
		bill.owner = n
		bill.lines[2] = n
		return []string{fmt.Sprintf("UPDATE `lines` SET qty = %d WHERE bill_id = %d AND line = 2", n, id), fmt.Sprintf("UPDATE bills SET owner = %d WHERE id = %d", n, id)}
	case kind < 11:
		return []string{fmt.Sprintf("UPDATE bills SET touched = touched + 1 WHERE id = %d", id)}
	}
	*bill = familyBill{}
	if l.cascades {
		return []string{fmt.Sprintf("DELETE FROM bills WHERE id = %d", id)}
	}
	return []string{fmt.Sprintf("DELETE FROM `lines` WHERE bill_id = %d", id), fmt.Sprintf("DELETE FROM notes WHERE bill_id = %d", id), fmt.Sprintf("DELETE FROM bills WHERE id = %d", id)}
}

func (l *familyLoad) run(sql []string) error {
	tx, err := l.db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after COMMIT there is none
	for _, q := range sql {
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (l *familyLoad) bill(id int64) familyBill {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bills[id]
	return familyBill{b.owner, maps.Clone(b.lines), maps.Clone(b.notes)}
}

func (l *familyLoad) requireNoError(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.errs)
	require.NotEmpty(t, l.took)
}

// requireRows: what was acknowledged and nothing else, each with its bill on one server.
func (l *familyLoad) requireRows(t *testing.T, db *sql.DB) {
	t.Helper()
	found := map[int64]familyBill{}
	each := func(q string, row func(a, b, c int64)) {
		rows, err := db.QueryContext(t.Context(), q)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var a, b, c int64
			require.NoError(t, rows.Scan(&a, &b, &c))
			row(a, b, c)
		}
		require.NoError(t, rows.Err())
	}
	each("SELECT id, owner, 0 FROM bills", func(id, owner, _ int64) {
		require.NotContains(t, found, id)
		found[id] = familyBill{owner, map[int64]int64{}, map[int64]int64{}}
	})
	each("SELECT bill_id, line, qty FROM `lines`", func(id, line, qty int64) {
		require.NotContains(t, found[id].lines, line)
		found[id].lines[line] = qty
	})
	each("SELECT bill_id, n, 0 FROM notes WHERE bill_id IS NOT NULL", func(id, n, _ int64) { found[id].notes[n]++ })
	require.Equal(t, l.bills, found)
}

// followRules and sharedRules are the family's: what belongs to a bill is where the
// bill is, or the bill's number says where all of them are.
const (
	followRules = "bills: {shard: %s, unique: [id]}\nlines: {like: bills, through: bill_id}\nnotes: {like: bills, through: bill_id, auto_increment: id}"
	sharedRules = "bills: {shard: %[1]s}\nlines: {shard: %[2]s}\nnotes: {shard: %[2]s, auto_increment: id}"
)

// Tables that follow another one move with it, there and back, while all of them are
// written and rows go from shard to shard; the foreign keys are where they were.
func TestSoakFollowersMoveWithTheirParents(t *testing.T) {
	soakFamily(t, "family", following("hash(owner), shards: 4, on: [c0, c1]"), following("mod(owner), shards: 6, on: [c1, c0]"), "")
}

func TestSoakFollowersStayWithTheirParents(t *testing.T) {
	soakFamily(t, "familystays", following("hash(owner), shards: 4, on: [c0]"), following("hash(owner), shards: 4, on: [c0, c1]"), "")
}

func TestSoakFollowersThatGoWithTheirParents(t *testing.T) {
	soakFamily(t, "familygoes", following("hash(owner), shards: 4, on: [c0, c1]"), following("hash(owner), shards: 8, on: [c0, c1]"), " ON DELETE CASCADE")
}

// Foreign keys between tables that share their shards go along.
func TestSoakForeignKeysMoveWithTheirTables(t *testing.T) {
	soakFamily(t, "kin", sharing("hash", "shards: 4, on: [c0, c1]"), sharing("hash", "shards: 8, on: [c0, c1]"), "")
}

func TestSoakForeignKeysMoveFromHome(t *testing.T) {
	soakFamily(t, "kinhome", "spare: {on: c0}", sharing("hash", "shards: 4, on: [c1, c0]"), "")
}

func TestSoakForeignKeysThatCascadeMove(t *testing.T) {
	at := func(cluster string) string {
		return fmt.Sprintf("bills: {on: %[1]s}\nlines: {on: %[1]s}\nnotes: {on: %[1]s}", cluster)
	}
	soakFamily(t, "kingoes", at("c0"), at("c1"), " ON DELETE CASCADE")
}

func following(shard string) string { return fmt.Sprintf(followRules, shard) }

func sharing(function, rest string) string {
	return fmt.Sprintf(sharedRules, function+"(id), "+rest, function+"(bill_id), "+rest)
}

func soakFamily(t *testing.T, schema, before, after, onDelete string) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		own(t, s.engine.String(), reshardJobs)
		moveFamily(t, s, schema, before, after, onDelete)
	})
}

func moveFamily(t *testing.T, s *serverSet, schema, before, after, onDelete string) {
	t.Helper()
	dropSchema(t, s.Clusters(t), schema)
	t.Cleanup(func() { dropSchema(t, s.Clusters(t), schema) })
	p := startServal(t, s, settings{Schema: schema, Tables: before})
	mustExec(t, p.open(t, ""), "CREATE DATABASE "+schema)
	db := p.open(t, schema)
	for _, create := range familyCreates {
		mustExec(t, db, strings.ReplaceAll(create, "REFERENCES bills (id)", "REFERENCES bills (id)"+onDelete))
	}
	mustExec(t, db, "INSERT INTO notes (bill_id, n) VALUES (NULL, 1), (NULL, 2)")
	load := startFamily(t, db, onDelete != "", 3)
	time.Sleep(time.Second) // rows to be copied
	load.requireNoError(t)
	to := edited(t, p.Config, indent(before, 6), indent(after, 6))
	awaitStage(t, startReshard(t, "-c", p.Config, "--to", to), p.Config, "following")
	for _, verb := range []string{"verify", "cutover", "reverse", "cutover"} {
		reshardOK(t, verb, "-c", p.Config)
		load.requireNoError(t)
		time.Sleep(300 * time.Millisecond) // what is written then
	}
	load.end()
	load.requireNoError(t)
	t.Logf("%s: %d transactions", schema, len(load.took))
	s.sync(t)
	load.requireRows(t, db)
	require.Equal(t, "2", one(t, db, "SELECT COUNT(*) FROM notes WHERE bill_id IS NULL"))
	requireSound(t, p.Config)
	reshardOK(t, "finish", "-c", p.Config, "--pause", "0s")
	require.Empty(t, left(t, s, schema))
	_, err := db.ExecContext(t.Context(), "INSERT INTO `lines` VALUES (1, 1, 1)")
	require.ErrorContains(t, err, "1452")
	requireSound(t, p.Config)
	s.sync(t)
	load.requireRows(t, db)
}

// requireSound: the shards are alike, and each row is on its own.
func requireSound(t *testing.T, file string) {
	t.Helper()
	out, err := runServal("check", "-c", file, "--live", "--placement")
	require.NoError(t, err, out)
}
