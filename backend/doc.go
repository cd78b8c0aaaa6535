// Package backend keeps the connections to MySQL servers: a Conn relays or
// pulls answers, a Pool keeps the connections to one server, a Fleet the pools
// of all clusters and the choice of the instance that may answer.
//
// go-mysql dials and authenticates; from there on the socket is Serval's own,
// because a relay must see packets, not values.
package backend
