package reshard

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/backend"
	"github.com/servaldb/serval/internal/mysqltest"
	"github.com/servaldb/serval/internal/wire"
)

// renaming are servers by cluster, whose answer to RENAME a test gives.
type renaming map[string]*mysqltest.Server

func (r renaming) Acquire(ctx context.Context, want backend.Want) ([]*backend.Conn, error) {
	c, err := backend.Dial(ctx, r[want.Cluster].Addr, backend.Config{User: "u"}, false)
	return []*backend.Conn{c}, err
}

// renamingServers have the layout's two clusters; there are the tables that exist.
func renamingServers(t *testing.T, rename func(s *mysqltest.Session), there ...[]string) renaming {
	answer := func(s *mysqltest.Session, _ byte, arg []byte) error {
		switch sql := string(arg); {
		case strings.HasPrefix(sql, "RENAME"):
			rename(s)
		case strings.Contains(sql, "information_schema"):
			s.Result([]string{"s", "t"}, there...)
		case strings.Contains(sql, "gtid_executed"):
			s.Result([]string{"g"}, []string{"set"})
		default:
			s.OK(wire.OK{})
		}
		return nil
	}
	return renaming{"c0": mysqltest.Start(t, answer), "c1": mysqltest.Start(t, answer)}
}

func TestServersRenameAtOnce(t *testing.T) {
	began := make(chan struct{}, 2)
	all := make(chan struct{})
	servers := renamingServers(t, func(s *mysqltest.Session) {
		began <- struct{}{}
		<-all
		s.OK(wire.OK{})
	})
	go func() {
		for range 2 {
			<-began
		}
		close(all)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	floors, err := RenamesOf(renamedLayout()).Do(ctx, servers)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"c0": "set", "c1": "set"}, floors)
	for _, s := range servers {
		require.NotContains(t, strings.Join(s.Log(), " "), "information_schema", "nobody waits for a look that is not needed")
	}
}

func TestRenamesThatFailAreLookedAfter(t *testing.T) {
	fails := func(s *mysqltest.Session) { s.Err(1146, "no such table") }
	for name, c := range map[string]struct {
		there [][]string
		want  string
	}{
		"done by somebody else": {[][]string{{"shop_0", "orders"}, {"shop_0", "serval_old_orders"}, {"shop_1", "orders"}}, ""},
		"not done":              {[][]string{{"shop_0", "orders"}, {"shop_0", "serval_new_orders"}, {"shop_1", "serval_new_orders"}}, "no such table"},
		"neither":               {[][]string{{"shop_0", "orders"}}, "neither as before the renames nor as after"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := RenamesOf(renamedLayout())[:1].Do(t.Context(), renamingServers(t, fails, c.there...))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	// A connection that is gone says nothing: nobody else's is asked.
	lost := func(s *mysqltest.Session) { _ = s.Conn.Close() }
	_, err := RenamesOf(renamedLayout()).Do(t.Context(), renamingServers(t, lost))
	require.Error(t, err)
	require.False(t, errors.Is(err, context.Canceled))
}
