package junit_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/ginkgo/v2/reporters"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/junit"
	"github.com/faultline/faultline/internal/exttest"
)

func write(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := junit.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, text []byte) reporters.JUnitTestSuites {
	t.Helper()
	var all reporters.JUnitTestSuites
	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// exitCode returns the exit code that a pipeline derives from this format alone.
func exitCode(all reporters.JUnitTestSuites) int {
	code := 0
	for _, s := range all.TestSuites {
		for _, c := range s.TestCases {
			switch {
			case c.Error != nil && c.Error.Type == "interrupted":
				return 130
			case c.Failure != nil:
				code = 1
			case c.Error != nil && code == 0:
				code = 3
			}
		}
	}
	return code
}

func TestSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Seen(t, string(text))
			checkSchema(t, text)
			all := read(t, text)
			if got := exitCode(all); got != run.Summary.ExitCode {
				t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
			}
			var tests, failures, errs, skipped int
			var seen [][2]string
			for _, s := range all.TestSuites {
				tests, failures, errs, skipped = tests+s.Tests, failures+s.Failures, errs+s.Errors, skipped+s.Skipped
				for _, c := range s.TestCases {
					at := [2]string{c.Classname, c.Name}
					if slices.Contains(seen, at) {
						t.Errorf("%q is a duplicate", at) // GitLab drops the second
					}
					seen = append(seen, at)
				}
			}
			if tests != len(seen) || all.Tests != tests || all.Failures != failures || all.Errors != errs {
				t.Errorf("got %d cases, and counts of %d tests, %d failures, %d errors; want the sums of its suites, %d, %d, %d",
					len(seen), all.Tests, all.Failures, all.Errors, tests, failures, errs)
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
		demo.Seen(t, string(text))
		checkSchema(t, text)
		if got := exitCode(read(t, text)); got != run.Summary.ExitCode {
			t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
		}
	})
}

// The four kinds of results that are not a success are four elements or types.
func TestTellsApart(t *testing.T) {
	for name, want := range map[string]string{
		"unexpected":                   `failure unexpected_observation: dax/ext4/pread on 6.12.117 (apt:bookworm, 6.12): step 1 (victim: pread file+0x4000 4096) expected EIO, saw ok 4096`,
		"infra":                        "error infra: the guest gave no answer within 30s",
		"not compared in one scenario": "error uncompared: not compared with 6.1.192 (apt:bookworm): different accelerators: tcg on 6.1.192 (apt:bookworm), kvm on 6.12.117 (apt:bookworm, 6.12)",
		"skipped":                      "skipped: the kernel lacks CONFIG_EXT4_FS",
		"interrupted":                  "error interrupted: the run was interrupted before 2 of 15 scenarios could be observed: syscalls/ext4/pwrite-aligned, syscalls/pmem/read",
		"lost change":                  "failure lost_change: 6.12.117 (apt:bookworm, 6.12) is based on v6.12 but does not have dax_recovery_write (f42e8e5088b9, in v5.19 and later): not seen in syscalls/ext4/pwrite-aligned",
	} {
		var got []string
		for _, s := range read(t, write(t, demo.Every()[name])).TestSuites {
			for _, c := range s.TestCases {
				switch {
				case c.Failure != nil:
					got = append(got, "failure "+c.Failure.Type+": "+c.Failure.Message)
				case c.Error != nil:
					got = append(got, "error "+c.Error.Type+": "+c.Error.Message)
				case c.Skipped != nil:
					got = append(got, "skipped: "+c.Skipped.Message)
				}
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestCase(t *testing.T) {
	all := read(t, write(t, demo.Run()))
	if len(all.TestSuites) != 2 || all.TestSuites[1].Name != demo.NewName {
		t.Fatalf("got %d suites, want 2, the second of %s", len(all.TestSuites), demo.NewName)
	}
	got := all.TestSuites[1].TestCases[0]
	want := reporters.JUnitTestCase{
		Name: "dax/ext4/shared-read", Classname: demo.NewName + ".dax", Time: 0.212,
		SystemOut: "step 1, victim: map file shared: ok\nstep 2, agent: badblock file+0x4000 8 sectors: ok\n" +
			"step 3, victim: load file+0x4000 width 1: SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000\n" +
			"badblocks: 32 8\nlog: MCE: Killing victim due to hardware memory corruption fault at N",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("case mismatch (-want +got):\n%s", diff)
	}
	if got := all.TestSuites[0].Properties.WithName("spec"); got != "apt:bookworm" {
		t.Errorf("got spec %q, want apt:bookworm", got)
	}
}

// schema lists what the elements may have, and must have (!), for Jenkins, from
// junit-10.xsd of its xunit plugin.
var schema = map[string]struct {
	attributes []string
	children   []string
}{
	"testsuites": {[]string{"name", "time", "tests", "failures", "errors"}, []string{"testsuite"}},
	"testsuite": {[]string{"name!", "tests!", "failures!", "errors!", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "version"},
		[]string{"testsuite", "properties", "testcase", "system-out", "system-err"}},
	"properties": {nil, []string{"property"}},
	"property":   {[]string{"name!", "value!"}, nil},
	"testcase": {[]string{"name!", "time", "classname", "group"},
		[]string{"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "system-err"}},
	"failure":    {[]string{"type", "message"}, nil},
	"error":      {[]string{"type", "message"}, nil},
	"skipped":    {[]string{"type", "message"}, nil},
	"system-out": {}, "system-err": {},
}

var seconds = regexp.MustCompile(`^[0-9]+(\.[0-9]{1,3})?$`)

func checkSchema(t *testing.T, text []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(text))
	path := []string{""}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := tok.(type) {
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.StartElement:
			name, parent := e.Name.Local, path[len(path)-1]
			if parent == "" && name != "testsuites" || parent != "" && !slices.Contains(schema[parent].children, name) {
				t.Errorf("<%s> in <%s>: want a child that the schema allows", name, parent)
			}
			path = append(path, name)
			has := map[string]string{}
			for _, a := range e.Attr {
				has[a.Name.Local] = a.Value
				if !slices.Contains(schema[name].attributes, a.Name.Local) && !slices.Contains(schema[name].attributes, a.Name.Local+"!") {
					t.Errorf("<%s %s=%q>: want an attribute that the schema has", name, a.Name.Local, a.Value)
				}
			}
			for _, a := range schema[name].attributes {
				if need, must := strings.CutSuffix(a, "!"); must {
					if _, ok := has[need]; !ok {
						t.Errorf("<%s>: got no attribute %s, want it", name, need)
					}
				}
			}
			for _, a := range []string{"tests", "failures", "errors", "skipped"} {
				if v, ok := has[a]; ok {
					if _, err := strconv.Atoi(v); err != nil {
						t.Errorf("<%s %s=%q>: want a number", name, a, v)
					}
				}
			}
			if v, ok := has["time"]; ok && !seconds.MatchString(v) {
				t.Errorf("<%s time=%q>: want seconds", name, v)
			}
		}
	}
}

// TestXMLLint validates with Jenkins' own schema.
func TestXMLLint(t *testing.T) {
	lint, xsd := exttest.Program(t, "xmllint"), exttest.File(t, "junit-10.xsd")
	for name, run := range demo.Every() {
		file := exttest.Temp(t, "junit.xml", write(t, run))
		if out, err := exec.Command(lint, "--noout", "--schema", xsd, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	file := exttest.Temp(t, "junit.xml", []byte(`<testsuites><testsuite name="x"/></testsuites>`))
	if err := exec.Command(lint, "--noout", "--schema", xsd, file).Run(); err == nil {
		t.Error("the schema takes what it should not")
	}
}
