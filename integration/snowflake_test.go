package integration

import (
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Numbers by snowflake: two Servals insert at once, and no number comes twice.
func TestSnowflakeNumbers(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "flake")
		t.Cleanup(func() { dropSchema(t, clusters, "flake") })
		cfg := settings{Schema: "flake", Tables: "t: {shard: hash(owner), shards: 4, on: [c0, c1], auto_increment: snowflake(id)}"}
		one1 := startServal(t, s, cfg)
		c := oneConn(t, one1.open(t, ""))
		mustExec(t, c, "CREATE DATABASE flake", "USE flake", "CREATE TABLE t (id BIGINT NOT NULL AUTO_INCREMENT, owner BIGINT NOT NULL, PRIMARY KEY (id, owner))")
		two := startServal(t, s, cfg) // it knows the table from the start
		var workers sync.WaitGroup
		var errs errorList
		for _, db := range []*sql.DB{one1.open(t, "flake"), two.open(t, "flake")} {
			for w := range 3 {
				workers.Go(func() {
					for i := range 30 {
						r, err := db.Exec(fmt.Sprintf("INSERT INTO t (owner) VALUES (%d), (%d), (%d)", i, w, i+w))
						if err != nil {
							errs.add(err)
							return
						}
						if id, _ := r.LastInsertId(); id>>22 < 1000 {
							errs.add(fmt.Errorf("%d is no snowflake", id))
						}
					}
				})
			}
		}
		workers.Wait()
		require.NoError(t, errs.first())
		s.sync(t)
		require.Equal(t, "540/540", one(t, c, "SELECT CONCAT(COUNT(*), '/', COUNT(DISTINCT id)) FROM t"))
		require.Equal(t, "2", one(t, c, "SELECT COUNT(DISTINCT id >> 12 & 1023) FROM t"), "each Serval is a worker of its own")
		mustExec(t, c, "INSERT INTO t (id, owner) VALUES (5, 1)")
		require.Equal(t, "5", one(t, c, "SELECT MIN(id) FROM t"))
	})
}

// A table made through one Serval is known to another at once.
func TestATableOfAnotherServal(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		clusters := s.Clusters(t)
		dropSchema(t, clusters, "newtab")
		t.Cleanup(func() { dropSchema(t, clusters, "newtab") })
		cfg := settings{Schema: "newtab", Tables: "t: {shard: hash(id), shards: 4, on: [c0, c1]}\nu: {shard: hash(id), shards: 4, on: [c0, c1]}"}
		a, b := startServal(t, s, cfg), startServal(t, s, cfg)
		c := oneConn(t, a.open(t, ""))
		mustExec(t, c, "CREATE DATABASE newtab", "USE newtab", "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, v INT)", "CREATE TABLE u (id BIGINT NOT NULL PRIMARY KEY, v INT)")
		s.sync(t)
		other := oneConn(t, b.open(t, "newtab"))
		mustExec(t, other, "INSERT INTO t VALUES (1, 2), (3, 4)")
		require.Equal(t, "6", one(t, other, "SELECT SUM(v) FROM t"))
		statement, err := other.PrepareContext(t.Context(), "INSERT INTO u (id, v) VALUES (?, ?)")
		require.NoError(t, err)
		_, err = statement.Exec(5, 6)
		require.NoError(t, err)
		require.Equal(t, "6", one(t, other, "SELECT v FROM u WHERE id = 5"))
	})
}
