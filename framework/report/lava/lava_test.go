package lava_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/lava"
	"github.com/faultline/faultline/internal/exttest"
)

func write(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := lava.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// result is a case as a dispatcher logs it.
type result struct {
	Set, Case, Result, Units string
	Measurement              float64
}

// signals matches what a dispatcher looks for anywhere on the console.
var signals = regexp.MustCompile(`<LAVA_SIGNAL_(\S+) ([^>]+)>`)

// dispatch reads a report as a dispatcher does.
func dispatch(t *testing.T, text []byte) (all []result, raised string) {
	t.Helper()
	set, open := "", ""
	for _, m := range signals.FindAllStringSubmatch(string(text), -1) {
		params := strings.Fields(m[2])
		switch m[1] {
		case "TESTSET":
			if set = ""; params[0] == "START" {
				set = params[1]
			}
		case "STARTTC":
			open = params[0]
		case "ENDTC":
			if params[0] != open {
				t.Errorf("got the end of %s, want that of %s", params[0], open)
			}
			open = ""
		case "TESTCASE":
			r := result{Set: set}
			for _, p := range params {
				switch key, value, _ := strings.Cut(p, "="); key {
				case "TEST_CASE_ID":
					r.Case = value
				case "RESULT":
					r.Result = value
				case "UNITS":
					r.Units = value
				case "MEASUREMENT":
					var err error
					if r.Measurement, err = strconv.ParseFloat(value, 64); err != nil {
						t.Error(err)
					}
				default:
					t.Errorf("got parameter %q, want one that is known", p)
				}
			}
			if strings.Contains(r.Case, "=") || set == "" || open != "" || !slices.Contains([]string{"pass", "fail", "skip", "unknown"}, r.Result) {
				t.Errorf("got %+v in %q, want a test case of a set, outside others, with a known result", r, open)
			}
			all = append(all, r)
		case "TESTRAISE":
			return all, m[2]
		default:
			t.Errorf("got signal %s, want one that is known", m[0])
		}
	}
	return all, ""
}

// exitCode returns the exit code that a pipeline derives from this format alone.
func exitCode(all []result, raised string) int {
	code := 0
	for _, r := range all {
		switch {
		case r.Result == "fail":
			code = 1
		case r.Result == "unknown" && code == 0:
			code = 3
		}
	}
	if raised != "" {
		code = 130
	}
	return code
}

func TestSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Inert(t, strings.ReplaceAll(string(text), "\n<LAVA_SIGNAL_", "\n")[min(len(text), len("<LAVA_SIGNAL_")):])
			all, raised := dispatch(t, text)
			if got := exitCode(all, raised); got != run.Summary.ExitCode {
				t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
			}
			seen := map[string]bool{}
			for _, r := range all {
				if at := r.Set + " " + r.Case; seen[at] {
					t.Errorf("%s is a duplicate", at)
				} else {
					seen[at] = true
				}
			}
		})
	}
}

// With any text of a guest, the exit code is the run's.
func FuzzWrite(f *testing.F) {
	f.Add(demo.HostileText)
	f.Fuzz(func(t *testing.T, said string) {
		run := demo.Saying(said)
		text := write(t, run)
		demo.Seen(t, string(text))
		if got := exitCode(dispatch(t, text)); got != run.Summary.ExitCode {
			t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
		}
	})
}

func TestWrite(t *testing.T) {
	run := demo.Every()["infra"]
	text := string(write(t, run))
	for _, want := range []string{
		"<LAVA_SIGNAL_TESTSET START 6.1.192--apt-bookworm-",
		"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=dax/ext4/shared-read RESULT=pass MEASUREMENT=0.212 UNITS=seconds>\n",
		"<LAVA_SIGNAL_STARTTC dax/ext4/pread>\nthe guest gave no answer within 30s\n<LAVA_SIGNAL_ENDTC dax/ext4/pread>\n" +
			"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=dax/ext4/pread RESULT=unknown MEASUREMENT=0.000 UNITS=seconds>\n",
		"<LAVA_SIGNAL_TESTSET STOP>\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	all, raised := dispatch(t, write(t, demo.Every()["interrupted"]))
	if len(all) != 28 || raised != "the run was interrupted" {
		t.Errorf("got %d results, %q; want 28, the run was interrupted", len(all), raised)
	}
	all, _ = dispatch(t, write(t, demo.Every()["lost change"]))
	if i := slices.IndexFunc(all, func(r result) bool { return r.Result == "fail" }); i < 0 || all[i].Case != "lost-change/dax_recovery_write" {
		t.Errorf("got %+v, want lost-change/dax_recovery_write as the first that failed", all)
	}
}

// TestDispatcher reads it with the dispatcher's own action.
func TestDispatcher(t *testing.T) {
	python, folder := exttest.Program(t, "python3"), filepath.Dir(exttest.File(t, "lava_dispatcher"))
	const script = `
import inspect, json, re, sys
from lava_dispatcher.actions.test.shell import TestShellAction, PatternFixup, SignalMatch
from lava_common.exceptions import TestError

class Log:
    def __init__(self): self.all = []
    def results(self, r): self.all.append(r)
    def error(self, *a): raise Exception(a)
    def __getattr__(self, name): return lambda *a, **k: None

class Director:
    test_uuid = "1"
    def signal(self, name, params): pass

class Connection: pass

for path in sys.argv[1:]:
    a = TestShellAction.__new__(TestShellAction)
    a.logger, a.signal_director, a.signal_match = Log(), Director(), SignalMatch()
    a.definition, a.testset_name, a.report = "0_faultline", None, {}
    a.get_namespace_data = lambda *x, **k: None
    a._reset_patterns()
    rest = [""] * (len(inspect.signature(a.check_patterns).parameters) - 2)
    raised = ""
    for m in re.finditer(a.patterns["signal"], open(path).read()):
        c = Connection()
        c.match = m
        try:
            a.check_patterns("signal", c, *rest)
        except TestError as e:
            raised = str(e)
            break
    json.dump({"results": [{k: r[k] for k in r if k != "definition"} for r in a.logger.all], "raised": raised}, sys.stdout)
`
	type read struct {
		Results []result
		Raised  string
	}
	var wants []read
	args := []string{"-c", script}
	for name, run := range demo.Every() {
		text := write(t, run)
		var want read
		want.Results, want.Raised = dispatch(t, text)
		wants, args = append(wants, want), append(args, exttest.Temp(t, name+".txt", text))
	}
	args = append(args, exttest.Temp(t, "bad.txt", []byte("<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=x RESULT=great>\n")))
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if strings.Contains(stderr.String(), "ModuleNotFoundError") {
		t.Skipf("%s lacks what lava_dispatcher needs (Debian: python3-pexpect, python3-yaml): %s", python, stderr.String())
	}
	if err == nil || !strings.Contains(stderr.String(), "Bad test result") {
		t.Errorf("the dispatcher accepts an unknown result: %v: %s", err, stderr.String())
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for i, want := range wants {
		var got read
		if err := dec.Decode(&got); err != nil {
			t.Fatal(fmt.Errorf("%w: %s", err, stderr.String()))
		}
		if len(want.Results) == 0 {
			want.Results = []result{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: results mismatch (-want +got):\n%s", args[2+i], diff)
		}
	}
}
