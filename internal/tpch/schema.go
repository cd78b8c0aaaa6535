package tpch

import (
	"fmt"
	"strings"
)

// Table is one of the eight tables.
type Table struct {
	Name string
	// Create is its CREATE TABLE, with indexes on the foreign keys' columns.
	Create string
	// Shard is its sharding key, empty for a global table.
	Shard string
	// Like is the table it shares its shards with, empty if none.
	Like string
}

// Tables are the eight tables, those that others refer to first.
var Tables = []Table{
	{Name: "region", Create: `CREATE TABLE region (
  r_regionkey INT NOT NULL PRIMARY KEY, r_name CHAR(25) NOT NULL, r_comment VARCHAR(152) NOT NULL) DEFAULT CHARSET = utf8mb4`},
	{Name: "nation", Create: `CREATE TABLE nation (
  n_nationkey INT NOT NULL PRIMARY KEY, n_name CHAR(25) NOT NULL, n_regionkey INT NOT NULL, n_comment VARCHAR(152) NOT NULL,
  KEY (n_regionkey)) DEFAULT CHARSET = utf8mb4`},
	{Name: "supplier", Shard: "s_suppkey", Create: `CREATE TABLE supplier (
  s_suppkey INT NOT NULL PRIMARY KEY, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL, s_nationkey INT NOT NULL,
  s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL, s_comment VARCHAR(101) NOT NULL,
  KEY (s_nationkey)) DEFAULT CHARSET = utf8mb4`},
	{Name: "part", Shard: "p_partkey", Create: `CREATE TABLE part (
  p_partkey INT NOT NULL PRIMARY KEY, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL, p_brand CHAR(10) NOT NULL,
  p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL, p_container CHAR(10) NOT NULL, p_retailprice DECIMAL(15,2) NOT NULL,
  p_comment VARCHAR(23) NOT NULL) DEFAULT CHARSET = utf8mb4`},
	{Name: "partsupp", Shard: "ps_partkey", Like: "part", Create: `CREATE TABLE partsupp (
  ps_partkey INT NOT NULL, ps_suppkey INT NOT NULL, ps_availqty INT NOT NULL, ps_supplycost DECIMAL(15,2) NOT NULL,
  ps_comment VARCHAR(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey), KEY (ps_suppkey)) DEFAULT CHARSET = utf8mb4`},
	{Name: "customer", Shard: "c_custkey", Create: `CREATE TABLE customer (
  c_custkey INT NOT NULL PRIMARY KEY, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL, c_nationkey INT NOT NULL,
  c_phone CHAR(15) NOT NULL, c_acctbal DECIMAL(15,2) NOT NULL, c_mktsegment CHAR(10) NOT NULL, c_comment VARCHAR(117) NOT NULL,
  KEY (c_nationkey)) DEFAULT CHARSET = utf8mb4`},
	{Name: "orders", Shard: "o_orderkey", Create: `CREATE TABLE orders (
  o_orderkey INT NOT NULL PRIMARY KEY, o_custkey INT NOT NULL, o_orderstatus CHAR(1) NOT NULL, o_totalprice DECIMAL(15,2) NOT NULL,
  o_orderdate DATE NOT NULL, o_orderpriority CHAR(15) NOT NULL, o_clerk CHAR(15) NOT NULL, o_shippriority INT NOT NULL,
  o_comment VARCHAR(79) NOT NULL, KEY (o_custkey), KEY (o_orderdate)) DEFAULT CHARSET = utf8mb4`},
	{Name: "lineitem", Shard: "l_orderkey", Like: "orders", Create: `CREATE TABLE lineitem (
  l_orderkey INT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, l_linenumber INT NOT NULL,
  l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL,
  l_returnflag CHAR(1) NOT NULL, l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL,
  l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, l_comment VARCHAR(44) NOT NULL,
  PRIMARY KEY (l_orderkey, l_linenumber), KEY (l_partkey, l_suppkey), KEY (l_suppkey), KEY (l_shipdate)) DEFAULT CHARSET = utf8mb4`},
}

// Rules are the tables' lines in Serval's configuration: every table but the
// two small ones by its key, over so many shards on these clusters.
func Rules(shards int, clusters ...string) string {
	on := strings.Join(clusters, ", ")
	var b strings.Builder
	for _, t := range Tables {
		switch {
		case t.Shard == "":
			fmt.Fprintf(&b, "%s: {global: true, on: [%s]}\n", t.Name, on)
		case t.Like != "":
			fmt.Fprintf(&b, "%s: {shard: hash(%s), like: %s}\n", t.Name, t.Shard, t.Like)
		default:
			fmt.Fprintf(&b, "%s: {shard: hash(%s), shards: %d, on: [%s]}\n", t.Name, t.Shard, shards, on)
		}
	}
	return b.String()
}
