package reshard

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Rows of two shards that cannot be in one table end the job, with their keys.
func TestRowsThatCannotBeInOneTable(t *testing.T) {
	unique := "(" + ordersColumns[1:len(ordersColumns)-1] + ", UNIQUE KEY (u))"
	eachEngine(t, 0, func(t *testing.T, s *stand) {
		for i, c := range []struct{ name, columns, rows0, rows1, later, why string }{
			{"a unique value", unique, "(1, 1, 1, 'same')", "(2, 2, 1, 'same')", "", "have the same value of a unique key"},
			{"a unique value by its collation", unique, "(1, 1, 1, 'same')", "(2, 2, 1, 'SAME')", "", "cannot be written beside"},
			{"a unique value that comes later", unique, "(1, 1, 1, 'a')", "(2, 2, 1, 'b')", "SET u = 'b'", "have the same value of a unique key"},
			{"a primary key", ordersColumns, "(1, 1, 1, 'a')", "(1, 2, 1, 'b')", "SET n = 2", "are in more than one of its shards"},
		} {
			t.Run(c.name, func(t *testing.T) {
				name := fmt.Sprintf("t%d", i)
				from := spread(name, "a", 2, intColumn("user_id"))
				l := s.layout(t, move{name: name, columns: c.columns, key: []string{"id"}, from: from, to: home(name)})
				s.exec(t, "c0", "INSERT INTO a_0."+name+" (id, user_id, n, u) VALUES "+c.rows0)
				s.exec(t, "c1", "INSERT INTO a_1."+name+" (id, user_id, n, u) VALUES "+c.rows1)
				r := s.start(t, MoverConfig{Layout: l, Journal: newMemory()})
				if c.later != "" {
					r.copyDone(t)
					s.exec(t, "c0", "UPDATE a_0."+name+" "+c.later)
				}
				select {
				case err := <-r.done:
					require.ErrorContains(t, err, c.why)
					t.Log(err)
				case <-time.After(30 * time.Second):
					require.Fail(t, "it goes on", "%+v", r.Progress())
				}
			})
		}
	})
}
