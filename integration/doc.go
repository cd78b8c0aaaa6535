// Package integration tests Serval from outside: the built binary in front of
// real MySQL and MariaDB servers with replicas, asked by real drivers, and
// compared with one plain server that has the same rows. It uses public ports
// only. A server that cannot be started is a failure, never a skip.
//
// Every engine's servers are started once and shared by all tests; each test
// uses a schema of its own name.
package integration
