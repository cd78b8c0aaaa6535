// Package mysqlproc runs real MySQL and MariaDB servers for the demo, the
// integration tests and the benchmark: it finds the programs, makes data
// directories quickly (one template per engine, copied), starts servers on
// 127.0.0.1 and free ports, joins them to clusters with GTID replication, and
// takes everything away again.
//
// Servers are tuned for short lives: small memory and no fsync. A child does
// not outlive its parent (on Linux the kernel sees to it), and what a killed
// parent left in the temporary folder is removed by the next run.
package mysqlproc
