package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// nameArg is the index of the argument that names a program, by function.
var nameArg = map[string]int{
	"exec.Command": 0, "exec.CommandContext": 1, "exec.LookPath": 0, "exttest.Program": 1,
	"execx.Find": 0, "execx.Run": 3, "execx.Command": 3, "execx.Prepare": 0, "execx.Ask": 2, "execx.AskAs": 4,
}

// dynamic are the programs of files with calls whose program is known only at run time.
var dynamic = map[string]string{
	"cmd/faultline/doctor.go":            "",    // its own list
	"cmd/faultline/gdb.go":               "gdb", // found by repro.go
	"cmd/faultline/guest.go":             "",    // a program for the guest
	"cmd/faultline/slurm_long_test.go":   "munged slurmctld slurmd sbatch scontrol squeue",
	"docs/ci_test.go":                    "bash dirname",
	"docs/first_test.go":                 "make",
	"framework/run/shard/shard_test.go":  "bash sh",
	"framework/machine/qemu/binary.go":   "qemu-system-x86_64",
	"framework/run/unavailable_test.go":  "apt-config qemu-system-x86_64",
	"framework/run/drive.go":             "", // this program
	"framework/run/suites.go":            "", // a suite
	"framework/machine/vm/accel_test.go": "nice sh",
	"images/tool.go":                     "",              // found by mkfs.go
	"internal/complete/complete_test.go": "bash fish zsh", // where they are installed
	"internal/exttest/exttest.go":        "",              // named by its callers
	"internal/execx/execx.go":            "",              // named by its callers
	"kernels/build/age.go":               "gcc",
	"kernels/build/configure.go":         "", // looks whether they changed
	"kernels/build/tools.go":             "gcc",
	"kernels/build/tools_test.go":        "gcc",
	"kernels/matrix/real_test.go":        "apt-get depmod",
	"kernels/source/source_test.go":      "apt-get apt-config dpkg-deb depmod",
	"kernels/vmlinuz/vmlinuz_test.go":    "xz bzip2",
	"images/pmem_test.go":                "mkfs.ext4 mkfs.xfs",
}

// examples is a folder with a call of each kind.
const examples = "docs/testdata/executed/"

// executed has the programs that files execute.
type executed struct {
	programs map[string]string // each with a place
	unseen   []string          // calls whose program is not known
	packages map[string]string // Debian packages that they need, each with a place
}

func (e *executed) add(place string, names ...string) {
	for _, n := range names {
		if strings.HasPrefix(n, "/proc/") {
			continue // itself
		}
		e.programs[filepath.Base(n)] = place
	}
}

// goFile adds the programs that a Go file executes.
func (e *executed) goFile(name string, dynamic map[string]string) error {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root, name), nil, 0)
	if err != nil {
		return err
	}
	// Variables that hold the result of a call that finds a program, or a program of ours.
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if id, ok := n.Lhs[0].(*ast.Ident); ok {
				found[id.Name] = found[id.Name] || finds(n.Rhs[0])
			}
		case *ast.ValueSpec: // const helper = "/usr/lib/apt/apt-helper"
			if len(n.Values) == 1 {
				if text, ok := literal(n.Values[0]); ok && strings.HasPrefix(text, "/usr/") {
					found[n.Names[0].Name] = true
					e.add(name, text)
				}
			}
		}
		return true
	})
	words := strings.Fields(dynamic[name])
	_, known := dynamic[name]
	e.add(name, words...)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit: // kernels/build: need{"flex", "flex"}
			if len(n.Elts) == 2 && strings.HasPrefix(name, "kernels/build/") {
				program, isText := literal(n.Elts[0])
				pkg, both := literal(n.Elts[1])
				if isText && both && n.Type == nil || isText && both && fmt.Sprint(n.Type) == "need" {
					e.packages[pkg] = name
					if !strings.HasSuffix(program, ".h") {
						e.add(name, program)
					}
				}
			}
		case *ast.CallExpr:
			fun, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			at, ok := nameArg[fmt.Sprint(fun.X)+"."+fun.Sel.Name]
			if !ok || len(n.Args) <= at {
				return true
			}
			place := fmt.Sprintf("%s:%d", name, files.Position(n.Pos()).Line)
			program, isText := literal(n.Args[at])
			id, isVar := n.Args[at].(*ast.Ident)
			switch {
			case isText:
				e.add(place, program)
			case finds(n.Args[at]) || isVar && found[id.Name] || known:
			default:
				e.unseen = append(e.unseen, place)
			}
			if len(n.Args) > at+2 && (program == "sh" || program == "bash" || strings.HasSuffix(program, "/sh")) {
				for _, arg := range n.Args[at+1:] {
					if text, ok := literal(arg); ok && strings.ContainsAny(text, " ;") {
						e.shell(place, text)
					}
				}
			}
		}
		return true
	})
	return nil
}

// finds reports whether an expression is a call that finds a program by its name, or is
// a program of ours.
func finds(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		fun, ok := e.Fun.(*ast.SelectorExpr)
		if !ok {
			return fmt.Sprint(e.Fun) == "compiled" || fmt.Sprint(e.Fun) == "suite"
		}
		call := fmt.Sprint(fun.X) + "." + fun.Sel.Name
		if call == "filepath.Join" || call == "exttest.File" {
			return true
		}
		at, ok := nameArg[call]
		if !ok || len(e.Args) <= at {
			return false
		}
		_, named := literal(e.Args[at])
		return named
	case *ast.IndexExpr: // os.Args[0]
		return strings.Contains(fmt.Sprint(e.X), "os Args")
	case *ast.SelectorExpr: // of a suite, or of QEMU
		return e.Sel.Name == "Binary" || e.Sel.Name == "Path" || e.Sel.Name == "bin"
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// shell adds the programs that a shell script executes, except functions and builtins.
func (e *executed) shell(place, script string) {
	file, err := syntax.NewParser().Parse(strings.NewReader(script), place)
	if err != nil {
		e.unseen = append(e.unseen, place+": "+err.Error())
		return
	}
	own := map[string]bool{}
	syntax.Walk(file, func(n syntax.Node) bool {
		if f, ok := n.(*syntax.FuncDecl); ok {
			own[f.Name.Value] = true
		}
		return true
	})
	wrappers := []string{"exec", "command", "sudo", "env", "nice", "chroot"}
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		for _, w := range call.Args {
			word := w.Lit()
			if word == "" || own[word] || strings.Contains(word, "=") {
				break
			}
			if strings.HasPrefix(word, "-") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, word)); err != nil && !builtin(word) {
				e.add(place, word)
			}
			if !slices.Contains(wrappers, word) {
				break
			}
		}
		return true
	})
}

func builtin(word string) bool {
	const names = ": . [ break cd command compgen continue echo eval exec exit export false kill local printf pwd read " +
		"return set shift source test trap true type ulimit umask unset wait"
	return slices.Contains(strings.Fields(names), word)
}

// script adds the programs of a testscript.
func (e *executed) script(place, text string) {
	line := regexp.MustCompile(`(?m)^(?:\[[^\]]*\] *)*[!?]? *(?:exec|exits \d+) +(.*)$`)
	text, _, _ = strings.Cut(text, "\n-- ") // its files
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		words := strings.Fields(m[1])
		if strings.HasPrefix(words[0], "$") || strings.HasPrefix(words[0], "./") {
			continue
		}
		e.add(place, words[0])
		if quoted := regexp.MustCompile(`^(?:sh|bash) -\w*c '(.*)'$`).FindStringSubmatch(m[1]); quoted != nil {
			e.shell(place, strings.ReplaceAll(quoted[1], "''", "'"))
		}
	}
}

// gather reads the files for which take returns true.
func gather(t *testing.T, dynamic map[string]string, take func(name string) bool) *executed {
	t.Helper()
	e := &executed{programs: map[string]string{}, packages: map[string]string{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case d.IsDir() && slices.Contains([]string{".git", "bin", "results", "variants", "guest"}, name):
			return filepath.SkipDir
		case d.IsDir() || !take(name):
			return nil
		}
		text, err := os.ReadFile(path)
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(name, ".go"):
			return e.goFile(name, dynamic)
		case strings.HasSuffix(name, ".txt") && strings.Contains(name, "/testdata/"):
			e.script(name, string(text))
		case strings.HasPrefix(string(text), "#!"):
			e.shell(name, string(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
