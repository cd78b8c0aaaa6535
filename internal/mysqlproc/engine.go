package mysqlproc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Engine is a kind of server.
type Engine uint8

const (
	// MySQL is Oracle's server, 8.4 or newer.
	MySQL Engine = iota + 1
	// MariaDB is MariaDB's server, 10.11 or newer.
	MariaDB
)

// Engines are all engines, in the order they are preferred.
var Engines = []Engine{MySQL, MariaDB}

// String is the engine's name as flags spell it.
func (e Engine) String() string {
	switch e {
	case MySQL:
		return "mysql"
	case MariaDB:
		return "mariadb"
	}
	return "unknown"
}

// ParseEngine reads what String writes, in any case.
func ParseEngine(s string) (Engine, error) {
	for _, e := range Engines {
		if strings.EqualFold(s, e.String()) {
			return e, nil
		}
	}
	return 0, fmt.Errorf("unknown engine %q: mysql or mariadb", s)
}

// Programs are the files of one installed engine.
type Programs struct {
	Engine Engine
	// Server is mysqld or mariadbd; Client the command line client; Dump the
	// logical backup. Client and Dump are empty where they are not installed.
	Server, Client, Dump string
	// Install initialises a data directory; MariaDB only.
	Install string
	// Router is mysqlrouter, empty where it is not installed; MySQL only.
	Router string
	// Version is the server's version, as 9.7.4-2.
	Version string
}

// ErrNotFound is returned by Find where an engine is not installed.
var ErrNotFound = errors.New("no such server on this machine")

// versionPattern finds the version in `mysqld --version`.
var versionPattern = regexp.MustCompile(`Ver (\S+)`)

// Cache is Serval's folder in the user's cache: $XDG_CACHE_HOME/serval or
// ~/.cache/serval. scripts/get-mysql.sh unpacks into its folder mysql.
func Cache() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("where to cache: %w", err)
	}
	return filepath.Join(base, "serval"), nil
}

// Find looks for an engine's programs: below $SERVAL_MYSQL_HOME or
// $SERVAL_MARIADB_HOME, in the user's cache (MySQL), then in PATH and the
// system's sbin folders. The error wraps ErrNotFound and says what to do.
func Find(ctx context.Context, e Engine) (*Programs, error) {
	switch e {
	case MySQL:
		return findMySQL(ctx)
	case MariaDB:
		return findMariaDB(ctx)
	}
	return nil, fmt.Errorf("unknown engine %d", e)
}

func findMySQL(ctx context.Context) (*Programs, error) {
	const home = "SERVAL_MYSQL_HOME"
	dirs := homeDirs(home)
	if cache, err := Cache(); err == nil && len(dirs) == 0 {
		dirs = append(dirs, filepath.Join(cache, "mysql", "bin"))
	}
	p := &Programs{Engine: MySQL}
	for _, server := range candidates(home, dirs, "mysqld") {
		version, err := serverVersion(ctx, server)
		if err != nil || strings.Contains(version, "MariaDB") {
			continue // MariaDB installs a mysqld, too
		}
		p.Server, p.Version = server, version
		near := append([]string{filepath.Dir(server)}, pathDirs()...)
		p.Client, p.Dump, p.Router = first(near, "mysql"), first(near, "mysqldump"), first(near, "mysqlrouter")
		return p, nil
	}
	return nil, fmt.Errorf("mysqld: %w: run scripts/get-mysql.sh, or name the folder above bin/mysqld in %s", ErrNotFound, home)
}

func findMariaDB(ctx context.Context) (*Programs, error) {
	const home = "SERVAL_MARIADB_HOME"
	for _, server := range candidates(home, homeDirs(home), "mariadbd", "mysqld") {
		version, err := serverVersion(ctx, server)
		if err != nil || !strings.Contains(version, "MariaDB") {
			continue
		}
		up := filepath.Dir(filepath.Dir(server))
		near := append([]string{filepath.Dir(server), filepath.Join(up, "bin"), filepath.Join(up, "scripts")}, pathDirs()...)
		install := first(near, "mariadb-install-db", "mysql_install_db")
		if install == "" {
			continue
		}
		return &Programs{
			Engine: MariaDB, Server: server, Version: version, Install: install,
			Client: first(near, "mariadb"), Dump: first(near, "mariadb-dump"),
		}, nil
	}
	return nil, fmt.Errorf("mariadbd with mariadb-install-db: %w: run scripts/setup.sh mariadb, or name the folder above bin/mariadbd in %s", ErrNotFound, home)
}

// homeDirs are the folders of programs below the one an environment variable
// names, none if it is not set.
func homeDirs(env string) []string {
	home := os.Getenv(env)
	if home == "" {
		return nil
	}
	return []string{filepath.Join(home, "bin"), filepath.Join(home, "sbin"), filepath.Join(home, "libexec")}
}

// pathDirs is PATH and the folders of server programs, which are not in every
// user's PATH.
func pathDirs() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/usr/libexec")
}

// candidates are the existing programs of these names in dirs, then in PATH
// unless the environment variable pins the place.
func candidates(env string, dirs []string, names ...string) []string {
	if os.Getenv(env) == "" {
		dirs = append(dirs, pathDirs()...)
	}
	var found []string
	for _, name := range names {
		for _, dir := range dirs {
			if file := filepath.Join(dir, name); executable(file) {
				found = append(found, file)
			}
		}
	}
	return found
}

func first(dirs []string, names ...string) string {
	for _, name := range names {
		for _, dir := range dirs {
			if file := filepath.Join(dir, name); executable(file) {
				return file
			}
		}
	}
	return ""
}

func executable(file string) bool {
	st, err := os.Stat(file)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

func serverVersion(ctx context.Context, server string) (string, error) {
	out, err := exec.CommandContext(ctx, server, "--no-defaults", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", server, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("%s --version: no version in %q", server, out)
	}
	return string(m[1]), nil
}
