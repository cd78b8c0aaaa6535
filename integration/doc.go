// Package integration tests Serval from outside: the built binary in front of
// real MySQL and MariaDB servers with replicas, asked by real drivers, and
// compared with one plain server that has the same rows. It uses public ports
// only. A server that cannot be started is a failure, never a skip.
//
// Every engine's servers are started once and shared by all tests, which run
// beside each other and on both engines at once. A new test therefore
//
//   - calls eachEngine first, once, and works within it; a test without servers
//     calls t.Parallel itself where it takes more than a moment;
//   - has a schema of its own (schemaOf names one), dropped by dropSchema before and in t.Cleanup
//     (a second test with that name would wait), and names GET_LOCK's locks,
//     users and functions after it: those are the server's;
//   - counts and waits only for what is its own: of XA RECOVER, PROCESSLIST,
//     INNODB_TRX, SHOW STATUS, binary logs and GTIDs only what names its schema,
//     or what was there when it looked first (awaitRecovery, noFinishing, binlog);
//   - asks for s.Own's two clusters where it kills, stops or promotes servers,
//     prepares branches by hand or wants other settings. What cannot be told
//     apart on the shared ones (SET GLOBAL, delayed replicas) takes
//     eachEngineAlone, which everybody waits for: keep it short;
//   - waits with eventually, never for a fixed time, and long enough for a machine
//     that is ten times slower: a deadline costs nothing until it is missed.
package integration
