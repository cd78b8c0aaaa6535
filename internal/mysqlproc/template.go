package mysqlproc

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The accounts every server has. Backend is what Serval uses on the servers
// and may not write to a read-only replica; App is a client's, with all
// rights, for going to a server directly; root has no password and may come
// over the unix socket only.
const (
	BackendUser, BackendPassword = "serval", "b4ckend"
	AppUser, AppPassword         = "app", "s3cret"
	replicationUser              = "repl"
	replicationPassword          = "r3pl"
)

var (
	//go:embed accounts_mysql.sql
	accountsMySQL string
	//go:embed accounts_mariadb.sql
	accountsMariaDB string
)

// template returns an initialised data directory to copy, and makes it if
// there is none yet for this very server program. Several processes may call
// it at once: each makes its own, one of them stays.
func template(ctx context.Context, p *Programs) (string, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	final := filepath.Join(cache, "template", templateName(p))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", fmt.Errorf("template of a data directory: %w", err)
	}
	part, err := os.MkdirTemp(filepath.Dir(final), "part-")
	if err != nil {
		return "", fmt.Errorf("template of a data directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(part) }() // gone already where all went well
	data := filepath.Join(part, "data")
	if p.Engine == MariaDB {
		err = initMariaDB(ctx, p, part, data)
	} else {
		err = initMySQL(ctx, p, part, data)
	}
	if err != nil {
		return "", err
	}
	if err := os.Rename(data, final); err != nil && !exists(final) {
		return "", fmt.Errorf("template of a data directory: %w", err)
	}
	return final, nil
}

// templateName changes with everything the content depends on.
func templateName(p *Programs) string {
	h := sha256.New()
	fmt.Fprintln(h, p.Server, p.Version, accountsMySQL, accountsMariaDB)
	if st, err := os.Stat(p.Server); err == nil {
		fmt.Fprintln(h, st.ModTime().UnixNano(), st.Size())
	}
	return p.Engine.String() + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}

func initMySQL(ctx context.Context, p *Programs, dir, data string) error {
	accounts := filepath.Join(dir, "accounts.sql")
	if err := os.WriteFile(accounts, []byte(accountsMySQL), 0o600); err != nil {
		return fmt.Errorf("initialise mysql: %w", err)
	}
	args := []string{"--no-defaults", "--initialize-insecure", "--datadir=" + data, "--init-file=" + accounts,
		"--disable-log-bin", "--mysqlx=OFF", "--performance-schema=OFF", "--character-set-server=utf8mb4",
		"--innodb-redo-log-capacity=48M", "--innodb-flush-log-at-trx-commit=2", "--log-error=" + filepath.Join(dir, "log")}
	if os.Getuid() == 0 {
		args = append(args, "--user=root")
	}
	if err := run(ctx, nil, p.Server, args...); err != nil {
		return errors.Join(err, tail(filepath.Join(dir, "log")))
	}
	// Each copy makes a server UUID of its own.
	return os.Remove(filepath.Join(data, "auto.cnf"))
}

func initMariaDB(ctx context.Context, p *Programs, dir, data string) error {
	user := os.Getenv("USER")
	if os.Getuid() == 0 {
		user = "root"
	}
	args := []string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=48M"}
	boot := []string{"--no-defaults", "--bootstrap", "--datadir=" + data, "--skip-log-bin", "--innodb-log-file-size=48M",
		"--log-error=" + filepath.Join(dir, "log")}
	if user != "" {
		args, boot = append(args, "--user="+user), append(boot, "--user="+user)
	}
	if err := run(ctx, nil, p.Install, args...); err != nil {
		return err
	}
	if err := run(ctx, strings.NewReader(accountsMariaDB), p.Server, boot...); err != nil {
		return errors.Join(err, tail(filepath.Join(dir, "log")))
	}
	return nil
}

// run runs a program to its end; its output is in the error.
func run(ctx context.Context, stdin *strings.Reader, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, lastLines(out))
	}
	return nil
}

// tail is the end of a server's log as an error.
func tail(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("no log: %w", err)
	}
	return fmt.Errorf("the end of %s:\n%s", file, lastLines(b))
}

func lastLines(b []byte) []byte {
	const most = 2000
	b = bytes.TrimSpace(b)
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return b
}

// copyTree copies a folder of plain files.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case d.Type().IsRegular():
			return copyFile(path, target)
		}
		return nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in) // the kernel copies (copy_file_range), blocks shared where it can
	return errors.Join(err, out.Close())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
