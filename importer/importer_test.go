package importer

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/config"
)

var readers = map[string]func(fs.FS, string) (string, error){"mycat": Mycat, "kingshard": Kingshard, "gaea": Gaea}

// Each command is a proxy: dir= is a folder of testdata, else the input is its
// one file, of the name that is the first line's. What comes out is right for
// config.
func TestImports(t *testing.T) {
	t.Setenv("SERVAL_PASSWORD_HIDDEN", "x")
	t.Setenv("SERVAL_PASSWORD_H1", "x")
	t.Setenv("SERVAL_PASSWORD_APP", "x")
	datadriven.Walk(t, "testdata/cases", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			var dir fs.FS
			if d.HasArg("dir") {
				var name string
				d.ScanArgs(t, "dir", &name)
				dir = os.DirFS(path.Join("testdata", name))
			} else {
				dir = files(d.Input)
			}
			zone := ""
			d.MaybeScanArgs(t, "zone", &zone)
			text, err := readers[d.Cmd](dir, zone)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			_, err = config.Parse("serval.yaml", []byte(text))
			require.NoError(t, err, text)
			if d.HasArg("tables") {
				_, text, _ = strings.Cut(text, "\nschemas:\n")
			}
			return text
		})
	})
}

// files are parts of the input under lines like "== schema.xml".
func files(input string) fs.FS {
	dir := fstest.MapFS{}
	for part := range strings.SplitSeq("\n"+input, "\n== ") {
		name, text, _ := strings.Cut(part, "\n")
		if name != "" {
			dir[name] = &fstest.MapFile{Data: []byte(text + "\n")}
		}
	}
	return dir
}
