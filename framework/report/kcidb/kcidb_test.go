package kcidb_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/kcidb"
	"github.com/faultline/faultline/internal/exttest"
)

func write(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := kcidb.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read is the part of a report that the tests read.
type read struct {
	Checkouts []struct{ ID string }
	Builds    []struct {
		ID           string
		CheckoutID   string `json:"checkout_id"`
		Architecture string
	}
	Tests []struct {
		ID, Origin, Path, Status, Comment string
		BuildID                           string `json:"build_id"`
		LogExcerpt                        string `json:"log_excerpt"`
		Misc                              struct {
			Scenario string
			Why      string
			Siginfo  []map[string]any
		}
	}
}

func parse(t *testing.T, text []byte) read {
	t.Helper()
	var r read
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// exitCode returns the exit code that a pipeline derives from this format alone.
func (r read) exitCode() int {
	seen := map[string]bool{}
	for _, t := range r.Tests {
		seen[t.Status] = true
	}
	switch {
	case seen["ERROR"]:
		return 130
	case seen["FAIL"]:
		return 1
	case seen["MISS"]:
		return 3
	}
	return 0
}

func TestSaysTheExitCode(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Seen(t, string(text))
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
			if bytes.Contains(text, []byte("null")) {
				t.Error("it has a null")
			}
			r := parse(t, text)
			if got := r.exitCode(); got != run.Summary.ExitCode {
				t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
			}
			have := map[string]bool{}
			once := func(kind, id string) {
				if have[kind+id] {
					t.Errorf("%s %s is a duplicate", kind, id)
				}
				have[kind+id] = true
			}
			for _, c := range r.Checkouts {
				once("checkout ", c.ID)
			}
			for _, b := range r.Builds {
				if once("build ", b.ID); !have["checkout "+b.CheckoutID] {
					t.Errorf("no checkout %s", b.CheckoutID)
				}
			}
			for _, c := range r.Tests {
				if once("test ", c.ID); !have["build "+c.BuildID] {
					t.Errorf("no build %s", c.BuildID)
				}
			}
		})
	}
}

// With any text of a guest, the exit code is the run's and the schema is met.
func FuzzWrite(f *testing.F) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/schema.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(demo.HostileText)
	f.Fuzz(func(t *testing.T, said string) {
		run := demo.Saying(said)
		text := write(t, run)
		demo.Seen(t, string(text))
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = schema.Validate(doc)
		}
		if err != nil {
			t.Error(err)
		}
		if got := parse(t, text).exitCode(); got != run.Summary.ExitCode {
			t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
		}
	})
}

// The four kinds of results that are not a success have four statuses.
func TestTellsApart(t *testing.T) {
	for name, want := range map[string]string{
		"unexpected":             "FAIL faultline.dax.ext4.pread",
		"splat":                  "FAIL faultline.dax.ext4.pread, FAIL faultline.dax.ext4.pread",
		"unexplained difference": "FAIL faultline.findings.unexplained-difference.dax.ext4.pread",
		"lost change":            "FAIL faultline.findings.lost-change.dax_recovery_write",
		"infra":                  "MISS faultline.dax.ext4.pread",
		"skipped":                "SKIP faultline.dax.ext4.pread",
		"interrupted":            "ERROR faultline.run.whole",
	} {
		var got []string
		for _, c := range parse(t, write(t, demo.Every()[name])).Tests {
			if c.Status != "PASS" {
				got = append(got, c.Status+" "+c.Path)
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %s, want %s", name, strings.Join(got, ", "), want)
		}
	}
}

func TestWrite(t *testing.T) {
	run := demo.Run()
	run.Origin = "mylab"
	r := parse(t, write(t, run))
	if len(r.Tests) != len(run.Cells) || len(r.Builds) != 2 || r.Builds[0].Architecture != "x86_64" {
		t.Fatalf("got %d tests, %d builds; want %d tests, 2 builds of x86_64", len(r.Tests), len(r.Builds), len(run.Cells))
	}
	got := r.Tests[15]
	if got.ID != "mylab:20260301T093000Z/6.12.117--apt-bookworm--6.12-e675352c/dax__ext4__shared-read" || got.Origin != "mylab" || got.Comment != "saw SIGBUS BUS_MCEERR_AR lsb=12" {
		t.Errorf("got %+v, want dax/ext4/shared-read on 6.12.117 of mylab, which saw SIGBUS", got)
	}
	raw, _ := got.Misc.Siginfo[0]["raw"].(string)
	delete(got.Misc.Siginfo[0], "raw")
	want := []map[string]any{{
		"step": 3.0, "actor": "victim", "action": "load file+0x4000 width 1", "signo": 7.0, "name": "SIGBUS",
		"code": 4.0, "code_name": "BUS_MCEERR_AR", "addr": "file+0x4000", "lsb": 12.0,
	}}
	if diff := cmp.Diff(want, got.Misc.Siginfo); diff != "" || len(raw) != 256 {
		t.Errorf("got %d characters of raw bytes, want 256; siginfo mismatch (-want +got):\n%s", len(raw), diff)
	}
	if want := "step 3, victim: load file+0x4000 width 1: SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000\n"; !strings.Contains(got.LogExcerpt, want) {
		t.Errorf("got excerpt %q, want %q", got.LogExcerpt, want)
	}
}

// A kernel with two names is one build.
func TestTheSameKernelTwice(t *testing.T) {
	r := parse(t, write(t, demo.AddKernels(demo.Run(), 1)))
	if len(r.Builds) != 2 || len(r.Checkouts) != 2 || len(r.Tests) != 45 {
		t.Errorf("got %d builds, %d checkouts, %d tests; want 2, 2, 45", len(r.Builds), len(r.Checkouts), len(r.Tests))
	}
}

func TestExcerptIsCut(t *testing.T) {
	run := demo.Every()["infra"]
	for i := range run.Cells {
		if c := &run.Cells[i]; c.Verdict == "infra" {
			c.ConsoleTail = strings.Repeat("x", 20000) + "the end"
		}
	}
	for _, c := range parse(t, write(t, run)).Tests {
		if n := len([]rune(c.LogExcerpt)); c.Status == "MISS" && (n != 16384 || !strings.HasSuffix(c.LogExcerpt, "xthe end")) {
			t.Errorf("got %d characters, want 16384 with the end of the log: …%s", n, c.LogExcerpt[len(c.LogExcerpt)-20:])
		}
	}
}

// TestKCIDB validates with KCIDB's own schema.
func TestKCIDB(t *testing.T) {
	python, folder := exttest.Program(t, "python3"), filepath.Dir(exttest.File(t, "kcidb_io"))
	const script = "import sys, json, kcidb_io.schema as s\nfor p in sys.argv[1:]:\n    s.V5_3.validate(json.load(open(p)))"
	check := func(files ...string) error {
		cmd := exec.Command(python, append([]string{"-c", script}, files...)...)
		cmd.Env = append(os.Environ(), "PYTHONPATH="+folder, "PYTHONDONTWRITEBYTECODE=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		if strings.Contains(stderr.String(), "ModuleNotFoundError") {
			t.Skipf("%s lacks what kcidb_io needs (Debian: python3-jsonschema): %s", python, stderr.String())
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, stderr.String())
		}
		return nil
	}
	var files []string
	for name, run := range demo.Every() {
		files = append(files, exttest.Temp(t, name+".json", write(t, run)))
	}
	if err := check(files...); err != nil {
		t.Error(err)
	}
	bad := bytes.Replace(write(t, demo.Run()), []byte(`"PASS"`), []byte(`"GOOD"`), 1)
	if err := check(exttest.Temp(t, "bad.json", bad)); err == nil {
		t.Error("it takes what it should not")
	}
}
