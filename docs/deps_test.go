package docs_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// essential are the programs of Debian's essential packages (Policy 3.8), and awk, which
// base-files needs.
var essential = strings.Fields(`gzip su awk basename bash cat chmod chown chroot cmp cp cut date dirname dpkg env find flock
	grep head id ldd ln ls mkdir mktemp mount mv nice nproc realpath rm sed setpriv sh sha256sum sleep sort tail tar
	tee timeout touch truncate unshare wc xargs`)

// sets returns the programs of tools/deps by set, and the packages.
func sets(t *testing.T) (programs, packages map[string][]string) {
	data, err := os.ReadFile(filepath.Join(root, "tools/deps"))
	if err != nil {
		t.Fatal(err)
	}
	programs, packages = map[string][]string{}, map[string][]string{}
	set := ""
	entry := regexp.MustCompile(`(?:^|\s)([\w./+-]+):([\w.+-]+)`)
	for line := range strings.Lines(string(data)) {
		if m := regexp.MustCompile(`^\t([a-z-]+)\)`).FindStringSubmatch(line); m != nil {
			set = m[1]
		}
		code, isEcho := strings.CutPrefix(strings.TrimSpace(line), "echo ")
		if set == "" || !isEcho {
			continue
		}
		code, _, _ = strings.Cut(code, " #")
		for _, m := range entry.FindAllStringSubmatch(code, -1) {
			programs[set] = append(programs[set], filepath.Base(m[1]))
			packages[set] = append(packages[set], m[2])
		}
	}
	if len(programs) < 5 {
		t.Fatalf("tools/deps: got the sets %v, want at least 5", slices.Collect(maps.Keys(programs)))
	}
	return programs, packages
}

// lacking returns the programs of e that are not in known.
func (e *executed) lacking(known ...string) (lack []string) {
	known = append(known, essential...)
	known = append(known, "go", "faultline", "mkfs.nosuch")
	for _, p := range slices.Sorted(maps.Keys(e.programs)) {
		if !slices.Contains(known, p) {
			lack = append(lack, p+" ("+e.programs[p]+")")
		}
	}
	return lack
}

// isCommand, isTest and isScript classify files by the sets that have their programs.
func isCommand(name string) bool {
	return strings.HasSuffix(name, ".go") && !isTest(name) &&
		!strings.HasPrefix(name, "tools/") && !strings.HasPrefix(name, examples)
}

func isTest(name string) bool {
	if strings.HasPrefix(name, examples) {
		return false
	}
	return strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") || strings.HasPrefix(name, "tools/variants/") ||
		strings.HasPrefix(name, "internal/fake/")
}

func isScript(name string) bool {
	return strings.HasPrefix(name, "tools/") && !strings.HasSuffix(name, ".go") || name == ".ci/run"
}

// TestDepsAreComplete compares the programs that the code executes with those that
// tools/deps installs and doctor looks for.
func TestDepsAreComplete(t *testing.T) {
	programs, packages := sets(t)
	command, tests, scripts := gather(t, dynamic, isCommand), gather(t, dynamic, isTest), gather(t, dynamic, isScript)
	for _, e := range []*executed{command, tests, scripts} {
		for _, place := range e.unseen {
			t.Errorf("%s executes a program whose name is not in the code; add it to dynamic", place)
		}
	}
	all := gather(t, nil, func(name string) bool { return isCommand(name) || isTest(name) })
	for name := range dynamic {
		if !slices.ContainsFunc(all.unseen, func(place string) bool { return strings.HasPrefix(place, name+":") }) {
			t.Errorf("dynamic has an entry for %s, which needs none", name)
		}
	}
	if len(command.programs) < 10 || len(tests.programs) < 10 || len(scripts.programs) < 10 {
		t.Fatalf("got the programs %v, %v, %v; want at least 10 of each", command.programs, tests.programs, scripts.programs)
	}

	run := slices.Concat(programs["run"], programs["tree"])
	for what, lack := range map[string][]string{
		// gdb is needed by repro --gdb only.
		"run, tree or tree-all": command.lacking(slices.Concat(run, programs["tree-all"], []string{"gdb"})...),
		"run, test or readers":  tests.lacking(slices.Concat(run, programs["test"], programs["readers"])...),
		"test or hosts":         scripts.lacking(slices.Concat(run, programs["test"], programs["hosts"])...),
	} {
		if len(lack) > 0 {
			t.Errorf("the sets %s of tools/deps do not have %s", what, strings.Join(lack, ", "))
		}
	}
	for pkg, place := range command.packages {
		if !slices.Contains(slices.Concat(packages["tree"], packages["tree-all"]), pkg) {
			t.Errorf("the sets tree and tree-all of tools/deps do not have package %s (%s)", pkg, place)
		}
	}

	out, err := exec.Command(filepath.Join(built, "faultline"), "doctor").Output()
	if len(out) == 0 {
		t.Fatalf("doctor: got no output, error %v", err)
	}
	// What only some configurations need is checked when a kernel is built.
	known := append(programs["tree-all"], "qemu-system-x86_64")
	for _, word := range strings.FieldsFunc(string(out), func(r rune) bool { return strings.ContainsRune(" \n,;:", r) }) {
		known = append(known, filepath.Base(word))
	}
	if strings.Contains(string(out), " kernel builds ") {
		known = append(known, programs["tree"]...)
	}
	if lack := command.lacking(known...); len(lack) > 0 {
		t.Errorf("doctor does not check for %s:\n%s", strings.Join(lack, ", "), out)
	}
}

// TestOneWayToStartAProcess checks that only package execx starts programs on the host,
// except for tests and tools: it sets limits, a process group and the language.
func TestOneWayToStartAProcess(t *testing.T) {
	direct := regexp.MustCompile(`\bexec\.Command(Context)?\(`)
	found := 0
	for _, dir := range []string{"cmd", "framework", "images", "internal", "kernels"} {
		err := fs.WalkDir(os.DirFS(root), dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !isCommand(name) || isTest(name) {
				return err
			}
			data, err := os.ReadFile(filepath.Join(root, name))
			switch {
			case err != nil:
				return err
			case !direct.Match(data):
			case strings.HasPrefix(name, "internal/execx/"):
				found++
			default:
				t.Errorf("%s calls exec.Command; use package execx", name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Error("package execx is not found")
	}
}

// TestExecutedIsFound checks that each kind of call is found.
func TestExecutedIsFound(t *testing.T) {
	e := gather(t, nil, func(name string) bool { return strings.HasPrefix(name, examples) })
	want := strings.Fields("one two three four five six seven eight nine ten eleven twelve sh env x faultline")
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(e.programs)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := []string{"docs/testdata/executed/calls.go:27"}; !slices.Equal(e.unseen, want) {
		t.Errorf("unseen: got %q, want %q", e.unseen, want)
	}
}
