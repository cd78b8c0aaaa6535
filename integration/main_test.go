package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/servaldb/serval/internal/mysqlproc"
)

// binary is the serval program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// atOnce is how many tests run beside each other, each engine counted, where
// -parallel does not say: most of a test's time is waiting for others' clocks.
const atOnce = "6"

func run(m *testing.M) int {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	dir, err := mysqlproc.NewTempDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tempDir = dir.Path
	defer func() { _ = dir.Remove() }()
	if binary = os.Getenv("SERVAL_BINARY"); binary == "" {
		binary = filepath.Join(dir.Path, "serval")
		build := exec.Command("go", "build", "-o", binary, "./cmd/serval")
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build serval: %v\n%s", err, out)
			return 1
		}
	}
	code := m.Run()
	for _, e := range mysqlproc.Engines {
		if err := sets[e].close(); err != nil {
			fmt.Fprintln(os.Stderr, "close:", err)
			code = 1
		}
	}
	return code
}

// tempDir is where all servers and Servals of this run live.
var tempDir string

// serverSet is one engine's servers. Each part is started when first asked for.
type serverSet struct {
	engine mysqlproc.Engine

	clusters part[[]*mysqlproc.Cluster] // two of one primary and one replica
	plain    part[*mysqlproc.Server]    // the oracle
	failover part[*mysqlproc.Cluster]   // one cluster to break
}

// part is started once, whoever comes first.
type part[T any] struct {
	once  sync.Once
	value T
	err   error
	took  time.Duration
}

func (p *part[T]) start(t *testing.T, what string, f func() (T, error)) T {
	t.Helper()
	p.once.Do(func() {
		began := time.Now()
		p.value, p.err = f()
		p.took = time.Since(began)
		t.Logf("%s started in %v", what, p.took.Round(10*time.Millisecond))
	})
	require.NoError(t, p.err, "start %s", what)
	return p.value
}

var sets = map[mysqlproc.Engine]*serverSet{
	mysqlproc.MySQL:   {engine: mysqlproc.MySQL},
	mysqlproc.MariaDB: {engine: mysqlproc.MariaDB},
}

func (s *serverSet) dir(name string) string {
	return filepath.Join(tempDir, s.engine.String()+"-"+name)
}

// Clusters are c0 and c1.
func (s *serverSet) Clusters(t *testing.T) []*mysqlproc.Cluster {
	t.Helper()
	return s.clusters.start(t, s.engine.String()+" clusters", func() ([]*mysqlproc.Cluster, error) {
		// Not the test's context: the servers outlive the test.
		return mysqlproc.StartClusters(context.Background(), s.engine, s.dir("c"), 2)
	})
}

// sync waits until the replicas have what the primaries have: another session
// than the writer's may read the past.
func (s *serverSet) sync(t *testing.T) {
	t.Helper()
	for _, c := range s.Clusters(t) {
		require.NoError(t, c.Sync(t.Context()))
	}
}

// Plain is a server with no Serval and no sharding.
func (s *serverSet) Plain(t *testing.T) *mysqlproc.Server {
	t.Helper()
	return s.plain.start(t, s.engine.String()+" oracle", func() (*mysqlproc.Server, error) {
		return mysqlproc.Start(context.Background(), mysqlproc.Options{Engine: s.engine, Dir: s.dir("plain"), ServerID: 99})
	})
}

// Failover is a cluster of one primary and one replica that tests may break;
// they mend it before they end.
func (s *serverSet) Failover(t *testing.T) *mysqlproc.Cluster {
	t.Helper()
	return s.failover.start(t, s.engine.String()+" failover cluster", func() (*mysqlproc.Cluster, error) {
		return mysqlproc.StartCluster(context.Background(), mysqlproc.ClusterOptions{
			Engine: s.engine, Dir: s.dir("f"), Name: "f", Replicas: 1, FirstID: 51,
		})
	})
}

// Own are two clusters of one primary each, for a test that kills servers, looks
// at all that is on them or wants other settings. They are named c0 and c1.
func (s *serverSet) Own(t *testing.T, extra ...string) []*mysqlproc.Cluster {
	t.Helper()
	clusters := make([]*mysqlproc.Cluster, 2)
	t.Cleanup(func() { require.NoError(t, mysqlproc.CloseAll(clusters)) })
	dir := t.TempDir()
	var starts errgroup.Group
	for i := range clusters {
		starts.Go(func() (err error) {
			clusters[i], err = mysqlproc.StartCluster(t.Context(), mysqlproc.ClusterOptions{
				Engine: s.engine, Dir: dir, Name: fmt.Sprintf("c%d", i), FirstID: uint32(70 + i), Extra: extra,
			})
			return err
		})
	}
	require.NoError(t, starts.Wait())
	return clusters
}

func (s *serverSet) close() error {
	errs := []error{mysqlproc.CloseAll(s.clusters.value)}
	if s.plain.value != nil {
		errs = append(errs, s.plain.value.Close())
	}
	if s.failover.value != nil {
		errs = append(errs, s.failover.value.Close())
	}
	return errors.Join(errs...)
}

// eachEngine runs f on both engines at once, beside other tests (see the
// package's comment). It is called once in a test, before anything slow.
func eachEngine(t *testing.T, f func(t *testing.T, s *serverSet)) {
	t.Parallel()
	eachEngineAlone(t, f)
}

// eachEngineAlone is eachEngine for a test that changes or counts what all tests
// of a server share: nothing else runs on the engine's servers meanwhile.
func eachEngineAlone(t *testing.T, f func(t *testing.T, s *serverSet)) {
	for _, e := range mysqlproc.Engines {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			f(t, sets[e])
		})
	}
}

// schemaOf is a schema of the test's own, named after it.
func schemaOf(t *testing.T) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(t.Name(), "Test"), "/")
	return strings.ToLower(name[:min(len(name), 40)])
}

// owners are the tests that have a schema just now, by server and schema.
var owners sync.Map

// own waits while another test has the schema: two that share one are slow, not
// wrong.
func own(t *testing.T, server, schema string) {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	key := server + " " + schema
	eventually(t, 10*time.Minute, func() error {
		owner, taken := owners.LoadOrStore(key, name)
		if !taken {
			t.Cleanup(func() { owners.Delete(key) })
		} else if owner != name {
			return fmt.Errorf("the schema %s is also that of %s, which goes on", schema, owner)
		}
		return nil
	})
}
