package github_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/github"
	"github.com/faultline/faultline/internal/exttest"
)

func write(t *testing.T, run results.Run) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := github.Write(&b, run, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// command is a command as the runner reads it.
type command struct {
	Level   string `json:"level"`
	Title   string `json:"title"`
	Message string `json:"message"`
}

// run reads a log as the runner does (ActionCommand.TryParseV2): a command begins a
// line, its properties end at the next ::, and are separated by commas.
func parse(t *testing.T, log []byte) []command {
	t.Helper()
	var out []command
	for l := range strings.Lines(string(log)) {
		l = strings.TrimSuffix(l, "\n")
		rest, ok := strings.CutPrefix(strings.TrimSpace(l), "::")
		head, message, ok2 := strings.Cut(rest, "::")
		name, props, ok3 := strings.Cut(head, " ")
		if !ok || !ok2 || !ok3 || name != "error" && name != "notice" {
			t.Errorf("got %q, want a command error or notice", l)
			continue
		}
		c := command{Level: name, Message: unescape(message, "%0D", "\r", "%0A", "\n")}
		for _, p := range strings.Split(props, ",") {
			key, value, _ := strings.Cut(p, "=")
			if key != "title" {
				t.Errorf("got property %q of %q, want only title", p, l)
			}
			c.Title = unescape(value, "%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",")
		}
		out = append(out, c)
	}
	return out
}

func unescape(s string, pairs ...string) string {
	return strings.ReplaceAll(strings.NewReplacer(pairs...).Replace(s), "%25", "%")
}

// exitCode returns the exit code that a pipeline derives from this format alone.
func exitCode(all []command) int {
	code := 0
	for _, c := range all {
		switch {
		case c.Level != "error":
		case c.Title == "interrupted":
			return 130
		case c.Title != "infrastructure failure" && c.Title != "not compared":
			code = 1
		case code == 0:
			code = 3
		}
	}
	return code
}

func TestSaysTheExitCode(t *testing.T) {
	for name, run := range demo.Every() {
		t.Run(name, func(t *testing.T) {
			text := write(t, run)
			demo.Seen(t, string(text))
			all := parse(t, text)
			if got := exitCode(all); got != run.Summary.ExitCode {
				t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
			}
			levels := map[string]int{}
			for _, c := range all {
				levels[c.Level]++
				if n := len([]rune(c.Message)); n == 0 || n > 4096 || c.Title == "" || strings.Contains(c.Title, "forged") {
					t.Errorf("got %d characters, want 1 to 4096, with a title of Faultline's: %+v", n, c)
				}
			}
			if levels["error"] > 10 || levels["notice"] > 10 || len(all) == 0 {
				t.Errorf("got %v, want at most 10 errors and 10 notices, and any command", levels)
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
		if got := exitCode(parse(t, text)); got != run.Summary.ExitCode {
			t.Errorf("got exit code %d, want %d", got, run.Summary.ExitCode)
		}
	})
}

func TestWrite(t *testing.T) {
	for name, want := range map[string][]command{
		"as expected": {{"notice", "as expected", "30 of 30 as expected; 7 of 15 scenarios differ between kernels, all explained by 1 known change.\ndax_fault_hwpoison (1ea7ca1b0901, v6.5): 7 scenarios"}},
		"unexpected": {{"error", "unexpected observation",
			"dax/ext4/pread on 6.12.117 (apt:bookworm, 6.12): step 1 (victim: pread file+0x4000 4096) expected EIO, saw ok 4096"}},
		"infra": {{"error", "infrastructure failure", "dax/ext4/pread on 6.12.117 (apt:bookworm, 6.12): the guest gave no answer within 30s"}},
		"not compared in one scenario": {{"error", "not compared",
			"dax/ext4/pread on 6.12.117 (apt:bookworm, 6.12): different accelerators: tcg on 6.1.192 (apt:bookworm), kvm on 6.12.117 (apt:bookworm, 6.12)"}},
		"skipped": {
			{"notice", "as expected", "29 of 29 as expected; 7 of 14 scenarios differ between kernels, all explained by 1 known change.\ndax_fault_hwpoison (1ea7ca1b0901, v6.5): 7 scenarios"},
			{"notice", "skipped", "dax/ext4/pread on 6.12.117 (apt:bookworm, 6.12): the kernel lacks CONFIG_EXT4_FS"},
		},
		"interrupted": {{"error", "interrupted",
			"6.12.117 (apt:bookworm, 6.12): the run was interrupted before 2 of 15 scenarios could be observed: syscalls/ext4/pwrite-aligned, syscalls/pmem/read"}},
		"no kernel boots": {
			{"error", "infrastructure failure", "15 scenarios on 6.1.192 (apt:bookworm): boot: the kernel panicked"},
			{"error", "infrastructure failure", "15 scenarios on 6.12.117 (apt:bookworm, 6.12): boot: the kernel panicked"},
		},
	} {
		if diff := cmp.Diff(want, parse(t, write(t, demo.Every()[name]))); diff != "" {
			t.Errorf("%s: commands mismatch (-want +got):\n%s", name, diff)
		}
	}
}

// The runner shows ten errors of a step. The last one counts the rest.
func TestMoreThanTen(t *testing.T) {
	run := demo.Every()["unexpected"]
	for i := range 12 {
		run.Cells = append(run.Cells, observe.Cell{Scenario: fmt.Sprint("more/", i), Kernel: demo.NewName, Verdict: observe.Unexpected, Message: "x"})
		run.Cells = append(run.Cells, observe.Cell{Scenario: fmt.Sprint("infra/", i), Kernel: demo.NewName, Verdict: observe.Infra, Message: fmt.Sprint(i)})
	}
	judge.Run(&run)
	all := parse(t, write(t, run))
	if got := all[len(all)-1]; len(all) != 10 || got != (command{"error", "16 more", "4 unexpected observation and 12 infrastructure failure"}) {
		t.Errorf("got %d commands, the last %+v; want 10, the last with 16 more", len(all), got)
	}
}

// TestToolkit compares with the commands of GitHub's own toolkit.
func TestToolkit(t *testing.T) {
	node, core := exttest.Program(t, "node"), exttest.File(t, "node_modules/@actions/core")
	const script = `
const {issueCommand} = require(process.argv[1] + '/lib/command.js')
for (const c of JSON.parse(require('fs').readFileSync(0))) issueCommand(c.level, {title: c.title}, c.message)`
	var text []byte
	for _, run := range demo.Every() {
		text = append(text, write(t, run)...)
	}
	all, err := json.Marshal(parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "-e", script, core)
	cmd.Stdin = bytes.NewReader(all)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(out), string(text)); diff != "" {
		t.Errorf("output mismatch (-toolkit +Faultline):\n%s", diff)
	}
}
