package ktap_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/ktap"
	"github.com/faultline/faultline/internal/exttest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ktap.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWrite(t *testing.T) {
	for _, name := range []string{"troubled", "interrupted"} {
		got := write(t, demo.Every()[name])
		path := filepath.Join("testdata", name+".ktap")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; run go test -update", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs; look at it, then run go test -update (-want +got):\n%s", path, diff)
		}
	}
}

// parser reads KTAP as its specification describes it.
type parser struct {
	t     *testing.T
	lines []string
	// counts are of results without subtests: by "ok", "not ok" and directive.
	counts map[string]int
	bailed bool
}

var (
	plan   = regexp.MustCompile(`^1\.\.(\d+)( # SKIP .*)?$`)
	result = regexp.MustCompile(`^(ok|not ok) (\d+) ([^#]*?)( # (?:(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b ?)?[^#]*)?$`)
)

func (p *parser) next(depth int) (string, bool) {
	indent := strings.Repeat("  ", depth)
	for len(p.lines) > 0 {
		l := p.lines[0]
		if strings.HasPrefix(strings.TrimLeft(l, " "), "#") {
			p.lines = p.lines[1:]
			continue
		}
		return strings.CutPrefix(l, indent)
	}
	return "", false
}

// test reads a version, a plan and results, and reports whether one failed.
func (p *parser) test(depth int) (failed bool) {
	l, _ := p.next(depth)
	if l != "KTAP version 1" {
		p.t.Fatalf("depth %d: got %q, want the version", depth, l)
	}
	p.lines = p.lines[1:]
	l, _ = p.next(depth)
	m := plan.FindStringSubmatch(l)
	if m == nil {
		p.t.Fatalf("depth %d: got %q, want a plan", depth, l)
	}
	p.lines = p.lines[1:]
	planned, _ := strconv.Atoi(m[1])
	for n := 1; n <= planned; n++ {
		nested, inner := false, false
		if l, ok := p.next(depth + 1); ok && strings.HasPrefix(l, "KTAP version") {
			nested, inner = true, p.test(depth+1)
		}
		l, _ := p.next(depth)
		m := result.FindStringSubmatch(l)
		if m == nil || m[2] != strconv.Itoa(n) || strings.HasPrefix(l, " ") {
			p.t.Fatalf("depth %d: got %q, want result %d of %d", depth, l, n, planned)
		}
		p.lines = p.lines[1:]
		bad := m[1] == "not ok"
		if nested && bad != inner {
			p.t.Errorf("got %q, want it not ok %t, as its parts", l, inner)
		}
		if !nested {
			p.counts[strings.TrimSpace(m[1]+" "+m[5])]++
		}
		failed = failed || bad
	}
	return failed
}

func parse(t *testing.T, text []byte) *parser {
	t.Helper()
	p := &parser{t: t, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), counts: map[string]int{}}
	p.test(0)
	for {
		l, ok := p.next(0)
		if !ok {
			return p
		}
		if !strings.HasPrefix(l, "Bail out!") {
			t.Errorf("got %q at the end, want Bail out!", l)
		}
		p.bailed, p.lines = true, p.lines[1:]
	}
}

// exitCode returns the exit code that a pipeline derives from this format alone.
func (p *parser) exitCode() int {
	switch {
	case p.bailed:
		return 130
	case p.counts["not ok"] > 0:
		return 1
	case p.counts["not ok ERROR"] > 0:
		return 3
	}
	return 0
}

func TestSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Inert(t, string(text))
			if got := parse(t, text).exitCode(); got != run.Summary.ExitCode {
				t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
			}
		})
	}
}

// With any text of a guest, the exit code is the run's and no terminal is controlled.
func FuzzWrite(f *testing.F) {
	f.Add(demo.HostileText)
	f.Fuzz(func(t *testing.T, said string) {
		run := demo.Saying(said)
		text := write(t, run)
		demo.Inert(t, string(text))
		if got := parse(t, text).exitCode(); got != run.Summary.ExitCode {
			t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
		}
	})
}

// counts are the results of kunit's parser.
type counts struct {
	Passed, Failed, Skipped, Crashed, Errors int
	Status                                   string
}

const kunit = `
import json, sys
printed, sys.stdout = sys.stdout, open('/dev/null', 'w')
import kunit_parser
for path in sys.argv[1:]:
    test = kunit_parser.parse_run_tests(open(path, newline='\n'))
    c = test.counts
    json.dump({'passed': c.passed, 'failed': c.failed, 'skipped': c.skipped, 'crashed': c.crashed, 'errors': c.errors, 'status': test.status.name}, printed)
`

// TestKUnit reads it with the kernel's own parser.
func TestKUnit(t *testing.T) {
	python, parser := exttest.Program(t, "python3"), exttest.File(t, "kunit_parser.py")
	var wants []counts
	args := []string{"-c", kunit}
	for name, run := range demo.Every() {
		text := write(t, run)
		p := parse(t, text)
		want := counts{Passed: p.counts["ok"], Failed: p.counts["not ok"] + p.counts["not ok ERROR"], Skipped: p.counts["ok SKIP"], Status: "SUCCESS"}
		switch {
		case want.Failed > 0:
			want.Status = "FAILURE"
		case want.Passed == 0: // it calls an empty plan an error
			want.Status, want.Errors = "NO_TESTS", 1
		}
		wants, args = append(wants, want), append(args, exttest.Temp(t, name+".ktap", text))
	}
	cut := write(t, demo.Run())
	args = append(args, exttest.Temp(t, "cut.ktap", cut[:len(cut)/2]))
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Dir(parser), "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for i, want := range wants {
		var got counts
		if err := dec.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: counts mismatch (-want +got):\n%s", args[2+i], diff)
		}
	}
	var half counts
	if err := dec.Decode(&half); err != nil || half.Errors == 0 {
		t.Errorf("half a report: got %+v, error %v; want errors of the parser", half, err)
	}
}

// TestProve reads it with Perl's TAP::Harness, which only reads the top level.
func TestProve(t *testing.T) {
	prove := exttest.Program(t, "prove")
	read := func(files ...string) (string, error) {
		out, err := exec.Command(prove, append([]string{"-e", "cat"}, files...)...).CombinedOutput()
		return string(out), err
	}
	var good, bad []string
	for name, run := range demo.Every() {
		file := exttest.Temp(t, name+".ktap", write(t, run))
		switch {
		case run.Interrupted: // ends all reading
			if out, err := read(file); err == nil || !strings.Contains(out, "Further testing stopped: the run was interrupted") {
				t.Errorf("%s: got error %v, want one as the run was interrupted: %s", name, err, out)
			}
		case run.Summary.ExitCode == 0:
			good = append(good, file)
		default:
			bad = append(bad, file)
		}
	}
	if out, err := read(good...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err := read(bad...)
	_, summary, _ := strings.Cut(out, "Test Summary Report")
	if err == nil {
		t.Error("prove takes failures")
	}
	for _, file := range bad {
		if !strings.Contains(summary, file) {
			t.Errorf("prove accepts %s: %s", file, out)
		}
	}
}
