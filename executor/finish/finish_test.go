package finish

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
)

func TestBytesAreWrittenSoThatTheyAreReadBack(t *testing.T) {
	for in, want := range map[string]string{
		"":                   `_binary''`,
		"it's":               `_binary'it\'s'`,
		`back\slash`:         `_binary'back\\slash'`,
		"\x00\n\r\x1a\t\xff": "_binary'\\0\\n\\r\\Z\t\xff'",
	} {
		require.Equal(t, want, string(appendQuoted([]byte("_binary"), []byte(in))))
	}
}

func TestTimestampsAreWrittenInUTC(t *testing.T) {
	for in, want := range map[string]string{
		"0":               `'0000-00-00 00:00:00'`, // the zero date
		"0.000000":        `'0000-00-00 00:00:00'`,
		"0.500000":        `'1970-01-01 00:00:00.500000'`,
		"1":               `'1970-01-01 00:00:01'`,
		"1793007000":      `'2026-10-26 09:30:00'`,
		"1793007000.1230": `'2026-10-26 09:30:00.1230'`,
		"2147483647.9999": `'2038-01-19 03:14:07.9999'`,
	} {
		got, err := appendTimestamp(nil, []byte(in))
		require.NoError(t, err)
		require.Equal(t, want, string(got), in)
	}
	for _, in := range []string{"", "x", "1.x", "1.2'", "2026-01-01"} {
		_, err := appendTimestamp(nil, []byte(in))
		require.Error(t, err, in)
	}
}

func TestANumberIsNothingButDigits(t *testing.T) {
	for _, in := range []string{"", "-1", "1 OR 1", "0x1", "1e5"} {
		_, err := appendValue(nil, []byte(in), plan.CarryNumber)
		require.Error(t, err, in)
	}
	got, err := appendValue(nil, []byte("18446744073709551615"), plan.CarryNumber)
	require.NoError(t, err)
	require.Equal(t, "18446744073709551615", string(got))
}

// listed are rows given as texts; NULL is "NULL".
type listed struct {
	rows   [][]string
	binary bool
	width  int
	fails  error
}

func (l *listed) Open() ([]wire.Column, error) {
	return make([]wire.Column, l.width), nil
}

func (l *listed) Next() ([]byte, error) {
	if len(l.rows) == 0 {
		if l.fails != nil {
			return nil, l.fails
		}
		return nil, io.EOF
	}
	row := l.rows[0]
	l.rows = l.rows[1:]
	var b []byte
	if l.binary {
		b = make([]byte, 1+(len(row)+9)/8)
	}
	for i, v := range row {
		switch {
		case v == "NULL" && l.binary:
			b[1+(i+2)/8] |= 1 << ((i + 2) % 8)
		case v == "NULL":
			b = append(b, 0xfb)
		default:
			b = wire.AppendLenEncString(b, v)
		}
	}
	return b, nil
}

// stringColumns are VARCHAR columns, as CAST AS BINARY gives them.
type stringColumns struct{ listed }

func (s *stringColumns) Open() ([]wire.Column, error) {
	cols := make([]wire.Column, s.width)
	for i := range cols {
		cols[i].Type = wire.TypeVarString
	}
	return cols, nil
}

func newLoad(binary bool) *Load {
	f := &plan.Fragment{
		Table:      plan.TableName{Schema: "shop", Table: "users"},
		PrimaryKey: []string{"id"},
		Columns: []plan.FragmentColumn{
			{Name: "id", Definition: "bigint NOT NULL"},
			{Name: "kind", Definition: "enum('a') NULL", Carry: plan.CarryEnum},
			{Name: "o`dd", Definition: "varchar(9) COLLATE latin1_bin NULL"},
		},
	}
	return &Load{
		Plan:   &plan.Finish{Fragments: []*plan.Fragment{f}},
		Bound:  &plan.BoundFinish{Database: "shop_0", SQL: []byte("SELECT 1")},
		Binary: binary, MaxRows: 10, MaxBytes: 1 << 20,
	}
}

// obliging answers as a server that makes the tables and takes the rows.
func obliging(s *mysqltest.Session, sql string) {
	ok := wire.OK{Status: wire.StatusAutocommit}
	if strings.HasPrefix(sql, "INSERT") {
		ok.AffectedRows = uint64(strings.Count(sql, "(") - 1)
	}
	s.OK(ok)
}

// load makes the tables and passes on the rows of the one fragment.
func load(t *testing.T, l *Load, c *backend.Conn, rows Rows, sql string) error {
	if err := l.Begin(t.Context(), c); err != nil {
		return err
	}
	if err := l.Ready(); err != nil {
		return err
	}
	if err := l.Fragment(0, rows, []byte(sql)); err != nil {
		return err
	}
	return l.Settle()
}

func three(rows ...[]string) Rows { return &stringColumns{listed{width: 3, rows: rows}} }

func TestRowsBecomeInserts(t *testing.T) {
	for _, binary := range []bool{false, true} {
		c, srv := served(t, func(s *mysqltest.Session, sql string) {
			ok := wire.OK{Status: wire.StatusAutocommit}
			if strings.HasPrefix(sql, "INSERT") {
				ok.AffectedRows, ok.Warnings = 3, 1 // one ENUM value is none of the list's
			}
			s.OK(ok)
		})
		l := newLoad(binary)
		rows := &stringColumns{listed{width: 3, binary: binary, rows: [][]string{{"1", "0", "x'y"}, {"2", "NULL", "NULL"}, {"3", "1", ""}}}}
		require.NoError(t, load(t, l, c, rows, ""))
		log := strings.Join(srv.Log(), "\n")
		require.Contains(t, log, "CREATE TEMPORARY TABLE `shop_0`.`serval_f1` (`id` bigint NOT NULL, `kind` enum('a') NULL, "+
			"`o``dd` varchar(9) COLLATE latin1_bin NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB")
		require.Contains(t, log, "INSERT INTO `shop_0`.`serval_f1` (`id`, `kind`, `o``dd`) VALUES (_binary'1',0,_binary'x\\'y'),(_binary'2',NULL,NULL),(_binary'3',1,_binary'')")
		require.Equal(t, int64(3), l.Rows())
		require.Positive(t, l.Bytes())
	}
}

func TestFewRowsWaitForTheQueryAndManyDoNot(t *testing.T) {
	c, srv := served(t, obliging)
	l := newLoad(false)
	l.MaxBytes = 1 << 30
	require.NoError(t, l.Begin(t.Context(), c))
	require.NoError(t, l.Ready())
	require.NoError(t, l.Fragment(0, three([]string{"1", "1", "x"}), nil))
	require.True(t, l.Early(), "the query may go behind them in one write")
	require.NotContains(t, strings.Join(srv.Log(), "\n"), "INSERT")
	require.NoError(t, l.Settle())

	big := strings.Repeat("x", batchBytes/2)
	require.NoError(t, l.Fragment(0, three([]string{"1", "1", big}, []string{"2", "1", big}, []string{"3", "1", big}), nil))
	require.False(t, l.Early())
	require.NoError(t, l.Settle())
	inserts := 0
	for _, sql := range srv.Log() {
		if strings.Contains(sql, "INSERT") {
			inserts++
		}
	}
	require.Equal(t, 3, inserts, "the small one, and two for the big rows")
	require.True(t, c.Usable())
}

// endless are so many rows of the same text; read counts them.
type endless struct {
	stringColumns
	n, read int
	row     []byte
}

func (e *endless) Next() ([]byte, error) {
	if e.read == e.n {
		return nil, io.EOF
	}
	e.read++
	return e.row, nil
}

// The server that takes the rows is slow: no more than a batch is read ahead
// of it.
func TestRowsAreReadNoFasterThanTheyAreTaken(t *testing.T) {
	const size = 1 << 10
	rows := &endless{stringColumns: stringColumns{listed{width: 3}}, n: 20 << 10}
	for _, v := range []string{"1", "1", strings.Repeat("x", size)} {
		rows.row = wire.AppendLenEncString(rows.row, v)
	}
	taken, most := 0, 0
	turn := make(chan struct{}, 1) // the server counts while the loader waits for it, or fills the next batch
	c, _ := served(t, func(s *mysqltest.Session, sql string) {
		if strings.HasPrefix(sql, "INSERT") {
			n := strings.Count(sql, "(") - 1
			turn <- struct{}{}
			taken += n
			<-turn
		}
		obliging(s, sql)
	})
	l := newLoad(false)
	l.MaxRows, l.MaxBytes = 1<<40, 1<<40
	watched := watch{rows, func() {
		turn <- struct{}{}
		most = max(most, rows.read-taken)
		<-turn
	}}
	require.NoError(t, load(t, l, c, watched, ""))
	require.Equal(t, rows.n, taken)
	require.Less(t, most*size, 4*batchBytes, "what is read and not taken yet")
}

type watch struct {
	*endless
	each func()
}

func (w watch) Next() ([]byte, error) {
	w.each()
	return w.endless.Next()
}

func TestTooMuchNamesTheTableAndItsStatement(t *testing.T) {
	many := make([][]string, 11)
	for i := range many {
		many[i] = []string{"1", "1", "x"}
	}
	c, _ := served(t, obliging)
	l := newLoad(false)
	err := load(t, l, c, three(many...), "SELECT id FROM `shop_0`.`users`")
	var e *sqlerr.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, uint16(sqlerr.OutOfMemory), e.Code)
	require.Contains(t, e.Message, "10 rows")
	require.Contains(t, e.Message, "table users")
	require.Contains(t, e.Message, "SELECT id FROM `shop_0`.`users`")
	require.NoError(t, l.Clean(t.Context(), c, false), "what was on its way is answered, the connection goes on")
	require.True(t, c.Usable())

	c, _ = served(t, obliging)
	l = newLoad(false)
	l.MaxBytes = 100
	err = load(t, l, c, three([]string{"1", "1", strings.Repeat("x", 200)}), strings.Repeat("S", 1000))
	require.ErrorAs(t, err, &e)
	require.Less(t, len(e.Message), 700, "a long statement is cut off")
}

func TestAFragmentThatFailsFailsTheStatement(t *testing.T) {
	lost := errors.New("lost")
	for name, rows := range map[string]Rows{
		"lost":                          &stringColumns{listed{width: 3, fails: lost}},
		"another width than the plan's": &stringColumns{listed{width: 2}},
		"an ENUM that is no number":     three([]string{"1", "a", "x"}),
		"a short row":                   three([]string{"1", "1"}),
	} {
		c, _ := served(t, obliging)
		l := newLoad(false)
		err := load(t, l, c, rows, "")
		require.Error(t, err, name)
		if name == "lost" {
			require.ErrorIs(t, err, lost)
		}
		require.NoError(t, l.Clean(t.Context(), c, false), name)
	}
}

// served dials a server that answers each statement with what answer says.
func served(t *testing.T, answer func(s *mysqltest.Session, sql string)) (*backend.Conn, *mysqltest.Server) {
	srv := mysqltest.Start(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		answer(s, string(arg))
		return nil
	})
	c, err := backend.Dial(context.Background(), srv.Addr, backend.Config{User: "u"}, false)
	require.NoError(t, err)
	t.Cleanup(c.Discard)
	return c, srv
}

func TestTheTablesAreFilledInAStateThatChangesNoValue(t *testing.T) {
	c, srv := served(t, obliging)
	l := newLoad(false)
	require.NoError(t, load(t, l, c, three([]string{"1", "1", "x"}), ""))
	require.NoError(t, l.Clean(t.Context(), c, false))
	log := strings.Join(srv.Log(), "\n")
	for _, part := range []string{"sql_mode='ALLOW_INVALID_DATES'", "time_zone='+00:00'", "CREATE TEMPORARY TABLE", "INSERT INTO", "DROP TEMPORARY TABLE IF EXISTS `shop_0`.`serval_f1`"} {
		i := strings.Index(log, part)
		require.GreaterOrEqual(t, i, 0, "%s is sent, in this order:\n%s", part, log)
		log = log[i:]
	}
	require.True(t, c.Usable())
}

func TestAValueThatDidNotArriveAsItWasIsARefusal(t *testing.T) {
	for name, ok := range map[string]wire.OK{
		"a warning":              {AffectedRows: 1, Warnings: 1},
		"a row that is missing":  {AffectedRows: 0},
		"a row that is too many": {AffectedRows: 2},
	} {
		c, _ := served(t, func(s *mysqltest.Session, sql string) {
			if !strings.HasPrefix(sql, "INSERT") {
				s.OK(wire.OK{Status: wire.StatusAutocommit})
				return
			}
			ok.Status = wire.StatusAutocommit
			s.OK(ok)
		})
		err := load(t, newLoad(false), c, three([]string{"1", "1", "x"}), "")
		require.Equal(t, uint16(sqlerr.NotSupported), sqlerr.From(err).Code, name)
		require.True(t, c.Usable(), "all answers are read")
	}
}

func TestAnENUMOfNoneOfTheListMayWarnOnce(t *testing.T) {
	c, _ := served(t, func(s *mysqltest.Session, sql string) {
		ok := wire.OK{Status: wire.StatusAutocommit}
		if strings.HasPrefix(sql, "INSERT") {
			ok.AffectedRows, ok.Warnings = 2, 1
		}
		s.OK(ok)
	})
	require.NoError(t, load(t, newLoad(false), c, three([]string{"1", "0", "x"}, []string{"2", "1", "x"}), ""))
}

func TestAServerThatTakesNoCopyIsARefusal(t *testing.T) {
	c, _ := served(t, func(s *mysqltest.Session, sql string) {
		if strings.HasPrefix(sql, "SET") {
			s.OK(wire.OK{Status: wire.StatusAutocommit})
			return
		}
		s.Err(1044, "Access denied")
	})
	err := load(t, newLoad(false), c, three([]string{"1", "1", "x"}), "")
	e := sqlerr.From(err)
	require.Equal(t, uint16(sqlerr.NotSupported), e.Code)
	require.Contains(t, e.Message, "users (Access denied)")
	require.ErrorIs(t, err, ErrNotTaken, "so that another server is asked")
	require.True(t, c.Usable(), "the answers behind the error are read, too")
}

func TestErrorsOfTheCopiesAreNotShownAsTheTables(t *testing.T) {
	l := newLoad(false)
	for code, want := range map[uint16]uint16{1137: sqlerr.NotSupported, 1062: sqlerr.NotSupported, 1054: 1054, 1055: 1055} {
		require.Equal(t, want, sqlerr.From(l.Error(&sqlerr.Error{Code: code, State: "HY000", Message: "x"})).Code)
	}
	require.NoError(t, l.Error(nil))
}
