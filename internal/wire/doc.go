// Package wire is the MySQL client/server protocol as bytes: framing, and one
// file a message. It decides nothing and waits for nothing; whoever owns the
// connection sets its deadlines.
//
// Every decoder takes a payload from the other side and never trusts a length
// in it: a malformed one is ErrMalformed, and the connection it came from
// cannot go on. Encoders append to a slice and allocate nothing.
//
// Source: MySQL 9 "Client/Server Protocol" (MySQL Server Doxygen, page_protocol),
// MariaDB "Client/Server Protocol".
package wire
