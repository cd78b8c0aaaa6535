package mysqlproc

import (
	"fmt"
	"os"
	"strconv"
)

// Options of one server. The zero value of everything but Engine works.
type Options struct {
	Engine Engine
	// Dir is the server's own folder, made if it does not exist; empty means
	// one below the temporary folder, removed by Close.
	Dir string
	// ServerID must differ within a cluster; 0 means 1.
	ServerID uint32
	// ReadOnly starts it as a replica: super_read_only, on MariaDB read_only.
	ReadOnly bool
	// NoBinlog: a server that replicates to nobody.
	NoBinlog bool
	// Extra are further arguments, as --max-allowed-packet=64M.
	Extra []string
}

// arguments of a server; paths as this package lays them out.
func (o *Options) arguments(p *Programs, dir string, port int) []string {
	args := []string{
		"--no-defaults",
		"--datadir=" + dataDir(dir),
		"--socket=" + socketFile(dir),
		"--pid-file=" + dir + "/server.pid",
		"--log-error=" + logFile(dir),
		"--tmpdir=" + dir + "/tmp",
		"--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(port),
		"--server-id=" + strconv.FormatUint(uint64(max(o.ServerID, 1)), 10),
		"--skip-name-resolve",
		"--character-set-server=utf8mb4",
		"--max-allowed-packet=64M",
		"--max-connections=1000",
		"--innodb-buffer-pool-size=64M",
		"--innodb-flush-log-at-trx-commit=2",
		// Data outlives the process and not the machine: kill -9 loses nothing, and
		// making tables does not wait for the disk.
		"--innodb-flush-method=nosync",
		"--innodb-use-native-aio=OFF", // the kernel's aio slots are few, servers may be many
		"--performance-schema=OFF",
		"--log-bin-trust-function-creators=ON",
	}
	if os.Getuid() == 0 {
		args = append(args, "--user=root") // both refuse to run as root unless told so
	}
	args = append(args, o.binlogArguments()...)
	args = append(args, engineArguments(p.Engine)...)
	if o.ReadOnly {
		args = append(args, readOnlyArgument(p.Engine))
	}
	return append(args, o.Extra...)
}

func (o *Options) binlogArguments() []string {
	if o.NoBinlog {
		if o.Engine == MariaDB {
			return []string{"--skip-log-bin"}
		}
		return []string{"--disable-log-bin"}
	}
	args := []string{"--log-bin=binlog", "--binlog-format=ROW", "--sync-binlog=0", "--relay-log=relay"}
	if o.Engine == MariaDB {
		return append(args, "--gtid-strict-mode=ON", "--log-slave-updates=ON", "--slave-parallel-threads=2",
			"--relay-log-recovery=ON")
	}
	return append(args, "--gtid-mode=ON", "--enforce-gtid-consistency=ON")
}

func engineArguments(e Engine) []string {
	if e == MariaDB {
		return []string{"--innodb-log-file-size=48M"}
	}
	return []string{"--mysqlx=OFF", "--innodb-redo-log-capacity=48M"}
}

func readOnlyArgument(e Engine) string {
	if e == MariaDB {
		return "--read-only=ON"
	}
	return "--super-read-only=ON"
}

func dataDir(dir string) string    { return dir + "/data" }
func socketFile(dir string) string { return dir + "/sock" }
func logFile(dir string) string    { return dir + "/error.log" }

// checkSocketPath refuses a folder whose socket path is too long for the
// kernel (107 bytes on Linux, 103 on others).
func checkSocketPath(dir string) error {
	const longest = 103
	if n := len(socketFile(dir)); n > longest {
		return fmt.Errorf("the folder %s is too long for a unix socket: %d bytes, at most %d", dir, n, longest)
	}
	return nil
}
