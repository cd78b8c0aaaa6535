package executor

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/sqlerr"
	"github.com/servaldb/serval/internal/wire"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/topology"
)

// scriptedApart gives connections to one server that makes temporary tables and
// answers the query.
type scriptedApart struct {
	t      *testing.T
	conns  *scriptedConns
	server *mysqltest.Server
	// refuses: replicas make no tables. query answers all else.
	refuses bool
	query   func(s *mysqltest.Session)
	targets []string
	ended   int
	ways    []string
	onCall  func()
	out     int
	later   []func()
}

func newApart(t *testing.T, conns *scriptedConns) *scriptedApart {
	a := &scriptedApart{t: t, conns: conns}
	a.query = func(s *mysqltest.Session) { s.Result([]string{"n"}, []string{"3"}) }
	rows := 0
	a.server = mysqltest.Start(t, func(s *mysqltest.Session, _ byte, arg []byte) error {
		sql := string(arg)
		ok := wire.OK{Status: wire.StatusAutocommit}
		switch {
		case strings.HasPrefix(sql, "CREATE") && a.refuses && a.targets[len(a.targets)-1] == "replica":
			s.Err(1049, "Unknown database 'shop_0'")
		case strings.HasPrefix(sql, "INSERT"):
			rows = strings.Count(sql, "(_binary") + strings.Count(sql, "(NULL")
			fallthrough
		case strings.HasPrefix(sql, "DELETE"):
			ok.AffectedRows = uint64(rows)
			s.OK(ok)
		case strings.HasPrefix(sql, "SELECT"):
			a.query(s)
		default:
			s.OK(ok)
		}
		return nil
	})
	return a
}

func (a *scriptedApart) TakeApart(_ context.Context, _ string, target topology.Target) (*backend.Conn, error) {
	require.Empty(a.t, a.conns.out, "who waits for it holds no connection of the shards")
	a.targets = append(a.targets, target.String())
	c, err := backend.Dial(context.Background(), a.server.Addr, backend.Config{User: "u"}, false)
	require.NoError(a.t, err)
	a.out++
	if a.onCall != nil {
		a.onCall()
	}
	return c, nil
}

func (a *scriptedApart) State() *backend.State { return &backend.State{} }

func (a *scriptedApart) Own() bool { return false }

func (a *scriptedApart) Begun() {}

func (a *scriptedApart) Warned(*backend.Conn) {}

func (a *scriptedApart) Ended(_ *backend.Conn, err error) {
	if err == nil {
		a.ended++
	}
}

func (a *scriptedApart) ReturnApart(c *backend.Conn, clean bool) {
	way := "closed"
	if clean {
		way = "clean"
	}
	a.ways = append(a.ways, way)
	a.out--
	c.Discard()
}

func (a *scriptedApart) Later(do func()) { a.later = append(a.later, do) }

// answered is the moment the client has its answer.
func (a *scriptedApart) answered() {
	for _, do := range a.later {
		do()
	}
	require.Zero(a.t, a.out, "the connection was given back")
	require.Empty(a.t, a.conns.out, "all connections are given back")
}

// finishRequest is a query over users, which has two tasks.
func finishRequest(conns *scriptedConns, a *scriptedApart, out *bytes.Buffer, tasks ...string) *Request {
	r := &plan.Route{Columns: 1}
	n := &plan.Finish{Fragments: []*plan.Fragment{{
		Route: r, Table: plan.TableName{Schema: "shop", Table: "users"}, Columns: []plan.FragmentColumn{{Name: "id", Definition: "bigint NULL"}},
	}}}
	bound := &plan.Bound{Plan: &plan.Plan{Root: n, ReadOnly: true}, Tasks: plan.Tasks{}}
	for i, sql := range tasks {
		bound.Tasks.Add(r, []plan.Task{oneTask([]string{"c0", "c1"}[i%2], sql)})
	}
	bound.Finish = &plan.BoundFinish{Cluster: "c0", Database: "shop_0", Target: topology.TargetReplica, SQL: []byte("SELECT COUNT(*) AS n FROM `shop_0`.`serval_f1`"),
		Rename: &plan.Rename{Database: "shop_0", LogicalDatabase: "shop", Tables: []plan.TableRename{{Physical: "serval_f1", Logical: "users"}}}}
	return &Request{Bound: bound, Conns: conns, Apart: a, Out: wire.NewWriter(out), DeprecateEOF: true}
}

func TestAQueryIsFinishedOnOneServer(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	var out bytes.Buffer
	req := finishRequest(conns, a, &out, "rows id text / 1 / 2", "rows id text / NULL")
	got, err := Run(t.Context(), req)
	require.NoError(t, err)
	require.NoError(t, req.Out.Flush())
	require.Empty(t, a.ways, "the client does not wait for the tables to be dropped")
	a.answered()
	require.Equal(t, 1, got.Columns)
	require.Equal(t, 2, got.Shards)
	require.Equal(t, 1, a.ended, "warnings are looked after once")
	require.Equal(t, []string{"clean"}, a.ways)
	log := strings.Join(a.server.Log(), "\n")
	require.Contains(t, log, "INSERT INTO `shop_0`.`serval_f1` (`id`) VALUES (_binary'1'),(_binary'2'),(NULL)")
	require.Contains(t, log, "SELECT COUNT(*) AS n")
	require.Less(t, strings.Index(log, "SELECT COUNT"), strings.Index(log, "DELETE FROM `shop_0`.`serval_f1`"))
}

func TestAReplicaThatTakesNoCopiesLeadsToThePrimary(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	a.refuses = true
	var out bytes.Buffer
	_, err := Run(t.Context(), finishRequest(conns, a, &out, "rows id text / 1"))
	require.NoError(t, err)
	a.answered()
	require.Equal(t, []string{"replica", "primary"}, a.targets)
}

func TestAnErrorOfTheQuerySpeaksOfLogicalNamesAndLeavesNoTable(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	a.query = func(s *mysqltest.Session) { s.Err(1055, "Expression #1 contains 'shop_0.serval_f1.id'") }
	var out bytes.Buffer
	_, err := Run(t.Context(), finishRequest(conns, a, &out, "rows id text / 1"))
	require.Equal(t, uint16(1055), sqlerr.From(err).Code)
	require.Contains(t, err.Error(), "'shop.users.id'")
	require.Equal(t, []string{"clean"}, a.ways, "the tables were dropped")
	require.Contains(t, strings.Join(a.server.Log(), "\n"), "DROP TEMPORARY TABLE")
}

func TestAFragmentThatFailsLeavesNoTable(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	var out bytes.Buffer
	_, err := Run(t.Context(), finishRequest(conns, a, &out, "rows id text / 1", "err 1146 Table 'x' doesn't exist"))
	require.Equal(t, uint16(1146), sqlerr.From(err).Code)
	require.Equal(t, []string{"clean"}, a.ways)
	require.Contains(t, strings.Join(a.server.Log(), "\n"), "DROP TEMPORARY TABLE")
	a.answered()
}

func TestAServerLostWhileFinishingClosesTheConnection(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	a.query = func(*mysqltest.Session) { a.server.HangUpAll() }
	var out bytes.Buffer
	_, err := Run(t.Context(), finishRequest(conns, a, &out, "rows id text / 1"))
	require.Equal(t, uint16(sqlerr.ServerLost), sqlerr.From(err).Code)
	require.Equal(t, []string{"closed"}, a.ways)
}

func TestAStatementThatIsCancelledKeepsNoConnection(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	ctx, cancel := context.WithCancel(t.Context())
	a.onCall = cancel
	var out bytes.Buffer
	_, err := Run(ctx, finishRequest(conns, a, &out, "rows id text / 1"))
	require.Equal(t, uint16(sqlerr.QueryInterrupted), sqlerr.From(err).Code)
	require.Equal(t, []string{"closed"}, a.ways)
}

func TestABudgetBoundsWhatIsCopied(t *testing.T) {
	conns := newScriptedConns(t, "c0", "c1")
	a := newApart(t, conns)
	var out bytes.Buffer
	req := finishRequest(conns, a, &out, "rows id text / "+strings.Repeat("x", 300), "rows id text / 1")
	req.MemoryBudget, req.FinishBytes = 1, 200
	_, err := Run(t.Context(), req)
	require.Equal(t, uint16(sqlerr.OutOfMemory), sqlerr.From(err).Code)
	require.Contains(t, err.Error(), "table users")
	require.Equal(t, []string{"clean"}, a.ways)
	a.answered()
}

func TestLabelsShowTheTablesAsTheyWereWritten(t *testing.T) {
	n := &plan.Finish{Fragments: []*plan.Fragment{
		{Table: plan.TableName{Schema: "shop", Table: "users"}, Written: "users", Named: " AS `users`"},
		{Table: plan.TableName{Schema: "shop", Table: "orders"}, Written: "shop . orders"},
	}}
	c := wire.Column{Schema: []byte("shop_3"), Table: []byte("o"), OrgTable: []byte("serval_f2"),
		Name: []byte("(SELECT 1 FROM `shop_3`.`serval_f1` AS `users`, `shop_3`.`serval_f2` o)"), OrgName: []byte("id")}
	scratchNames{n, "shop_3"}.undo(&c)
	require.Equal(t, "(SELECT 1 FROM users, shop . orders o)", string(c.Name))
	require.Equal(t, "shop.o.orders.id", string(c.Schema)+"."+string(c.Table)+"."+string(c.OrgTable)+"."+string(c.OrgName))
}
