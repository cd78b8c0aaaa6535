// Package tpch is the TPC-H benchmark's schema, data and queries, as the
// published specification (revision 3) defines them, in code of our own: a
// test and a measurement of queries over several shards.
//
// The data follows the specification's table definitions and distributions;
// its comments are made of other sentences. The same scale and seed give the
// same rows on every machine.
package tpch
