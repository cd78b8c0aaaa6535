package archtest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module       = "github.com/servaldb/serval"
	root         = "../.."
	functionCap  = 100
	fileCap      = 800
	documentedOf = 95 // percent
)

// pkg is what `go list -json` tells of one package.
type pkg struct {
	Dir, ImportPath string
	Imports         []string
	GoFiles         []string
}

// rel is the package's path below the module.
func (p pkg) rel() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

var packages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Imports,GoFiles", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
})

func ours(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	require.NoError(t, err)
	require.Greater(t, len(all), 15, "go list found the packages")
	return all
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, p := range ours(t) {
		from := p.rel()
		if slices.Contains(wiring, from) {
			continue
		}
		may, known := allowed[from]
		if !known && len(p.GoFiles) > 0 {
			t.Errorf("package %s is not in the table: add it to internal/archtest/table_test.go and docs/architecture.md, with its one responsibility", from)
			continue
		}
		for _, path := range p.Imports {
			to, isOurs := strings.CutPrefix(path, module+"/")
			if !isOurs || slices.Contains(leaves, to) && !slices.Contains(leaves, from) || slices.Contains(may, to) {
				continue
			}
			why := whyNot[[2]string{from, to}]
			if why == "" {
				why = "the table in docs/architecture.md has no such arrow; if the design needs it, change both tables and say why in the commit"
			}
			t.Errorf("%s imports %s: %s", from, to, why)
		}
	}
}

// The document a newcomer reads and the table that is enforced are the same.
func TestTheDocumentHasTheSameTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	require.NoError(t, err)
	documented := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		imports := []string{}
		for word := range strings.SplitSeq(cells[3], ",") {
			if word = strings.Trim(strings.TrimSpace(word), "`"); word != "" && word != "–" {
				imports = append(imports, word)
			}
		}
		documented[name] = imports
	}
	for name, imports := range allowed {
		require.Contains(t, documented, name, "docs/architecture.md has a row for %s", name)
		require.ElementsMatch(t, imports, documented[name], "docs/architecture.md and internal/archtest agree about %s", name)
	}
	for name := range documented {
		if !slices.Contains(wiring, name) {
			require.Contains(t, allowed, name, "internal/archtest has a row for %s", name)
		}
	}
}

func TestPurePackagesDoNoInputOrOutput(t *testing.T) {
	for _, p := range ours(t) {
		if !slices.Contains(pure, p.rel()) {
			continue
		}
		for _, path := range p.Imports {
			for _, banned := range []string{"net", "os", "syscall", "database/sql"} {
				if path == banned || strings.HasPrefix(path, banned+"/") {
					t.Errorf("%s imports %s: it decides without I/O; let its caller do that and hand over the result", p.rel(), path)
				}
			}
		}
		eachFile(t, p, func(name string, set *token.FileSet, file *ast.File) {
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "Sleep"}, sel.Sel.Name) {
						t.Errorf("%s: time.%s in a pure package: time comes in as an argument", set.Position(n.Pos()), sel.Sel.Name)
					}
				}
				return true
			})
		})
	}
}

func TestPackagesAreNamedForWhatTheyDo(t *testing.T) {
	for _, p := range ours(t) {
		name := filepath.Base(p.ImportPath)
		if slices.Contains(forbiddenNames, name) {
			t.Errorf("package %s: name it after what it gives its caller, not %q", p.rel(), name)
		}
	}
}

func TestSizesStayReadable(t *testing.T) {
	for _, p := range ours(t) {
		eachFile(t, p, func(name string, set *token.FileSet, file *ast.File) {
			if n := set.File(file.Pos()).LineCount(); n > fileCap {
				t.Errorf("%s has %d lines, at most %d: split it by what it is about", name, n, fileCap)
			}
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > functionCap {
					t.Errorf("%s: %s has %d lines, at most %d: give its steps names", set.Position(f.Pos()), f.Name.Name, n, functionCap)
				}
				if f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s: init() runs where nobody asked for it: make a constructor and call it from cmd/serval", set.Position(f.Pos()))
				}
			}
		})
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range ours(t) {
		var total int
		var missing []string
		eachFile(t, p, func(_ string, set *token.FileSet, file *ast.File) {
			n, bare := undocumented(set, file)
			total += n
			missing = append(missing, bare...)
		})
		if len(missing)*100 > total*(100-documentedOf) {
			t.Errorf("%s: %d of %d exported names have no comment; each says what a caller must know (meaning, units, errors, concurrency):\n  %s",
				p.rel(), len(missing), total, strings.Join(missing, "\n  "))
		}
	}
}

// undocumented counts the exported names of a file and returns those without
// a comment. A group's comment counts for all its names, and a comment counts
// for the declarations that stand directly below the one it belongs to.
func undocumented(set *token.FileSet, file *ast.File) (total int, bare []string) {
	line := func(p token.Pos) int { return set.Position(p).Line }
	covered := -1 // the line up to which the last comment counts
	declare := func(n ast.Node, commented bool, names []string) {
		commented = commented || line(n.Pos()) == covered+1
		if commented {
			covered = line(n.End())
		}
		total += len(names)
		for _, name := range names {
			if !commented {
				bare = append(bare, fmt.Sprintf("%s (%s)", name, set.Position(n.Pos())))
			}
		}
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			declare(d, d.Doc != nil, exportedFunc(d))
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				declare(spec, d.Doc != nil || specDocumented(spec), exportedOf(spec))
			}
		}
	}
	return total, bare
}

// exportedFunc is the function's name if a caller can see it. What the
// standard interfaces ask for needs no words.
func exportedFunc(f *ast.FuncDecl) []string {
	standard := f.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap"}, f.Name.Name)
	if !f.Name.IsExported() || !receiverExported(f) || standard {
		return nil
	}
	return []string{f.Name.Name}
}

func receiverExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	expr := f.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

func exportedOf(spec ast.Spec) []string {
	var names []string
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

func specDocumented(spec ast.Spec) bool {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Doc != nil || s.Comment != nil
	case *ast.ValueSpec:
		return s.Doc != nil || s.Comment != nil
	}
	return false
}

// eachFile parses the package's files, tests aside.
func eachFile(t *testing.T, p pkg, f func(name string, set *token.FileSet, file *ast.File)) {
	t.Helper()
	for _, base := range p.GoFiles {
		name := filepath.Join(p.Dir, base)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		f(name, set, file)
	}
}

// The checks themselves find what they look for.
func TestUndocumentedNamesAreFound(t *testing.T) {
	source := `package p

// A is documented.
func A() {}

func B() {}

func c() {}

// The group's comment counts.
const (
	D = 1
	E = 2
)

type F struct{}

func (F) G() {}

func (F) String() string { return "" }

type h struct{}

func (h) I() {}

var J int // so does one behind it

const (
	// K and L: one comment for both.
	K = 1
	L = 2

	M = 3
)
`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", source, parser.ParseComments)
	require.NoError(t, err)
	total, bare := undocumented(set, file)
	require.Equal(t, 10, total)
	require.Equal(t, []string{"B (p.go:6:1)", "F (p.go:16:6)", "G (p.go:18:1)", "M (p.go:33:2)"}, bare)
}
