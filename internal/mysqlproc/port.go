package mysqlproc

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken from below those that Linux gives to outgoing connections
// (ip_local_port_range): one of these has any port for a moment, and a server
// that is started again on its port would not get it.
const lowestPort, portsEnd = 15000, 32768

// given are the ports FreePort has answered.
var given sync.Map

// FreePort is a port of 127.0.0.1 that nobody listens on. It gives none twice.
func FreePort() (int, error) {
	var last error
	for range 1000 {
		port := lowestPort + rand.IntN(portsEnd-lowestPort)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("a free port: %w", err)
		}
		if _, taken := given.LoadOrStore(port, true); !taken {
			return port, nil
		}
	}
	return 0, errors.Join(errors.New("no free port was found"), last)
}
