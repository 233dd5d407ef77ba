// Package kcidb writes a run as a report of KCIDB's schema 5.3, in which kernel CI
// systems exchange results: a kernel is a checkout and a build, a check a test. It draws
// what is recorded, concludes nothing and sends nothing.
package kcidb

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// Origin is the default name of the CI system.
const Origin = "faultline"

type (
	document struct {
		Version   version    `json:"version"`
		Checkouts []checkout `json:"checkouts"`
		Builds    []build    `json:"builds"`
		Tests     []test     `json:"tests"`
	}
	version struct {
		Major int `json:"major"`
		Minor int `json:"minor"`
	}
	checkout struct {
		ID      string     `json:"id"`
		Origin  string     `json:"origin"`
		Comment string     `json:"comment"`
		Valid   bool       `json:"valid"`
		Misc    kernelMisc `json:"misc"`
	}
	build struct {
		CheckoutID   string     `json:"checkout_id"`
		ID           string     `json:"id"`
		Origin       string     `json:"origin"`
		Comment      string     `json:"comment"`
		Architecture string     `json:"architecture"`
		Status       string     `json:"status"`
		Misc         kernelMisc `json:"misc"`
	}
	// kernelMisc is what a run records about a kernel. The source commit and repository
	// are not part of it.
	kernelMisc struct {
		Spec     string   `json:"spec,omitempty"`
		Release  string   `json:"release,omitempty"`
		Version  string   `json:"version,omitempty"`
		Digest   string   `json:"digest,omitempty"`
		Packages []string `json:"packages,omitempty"`
		Changes  []string `json:"changes,omitempty"` // their states
	}
	test struct {
		BuildID     string      `json:"build_id"`
		ID          string      `json:"id"`
		Origin      string      `json:"origin"`
		Environment environment `json:"environment"`
		Path        string      `json:"path"`
		Comment     string      `json:"comment,omitempty"`
		LogExcerpt  string      `json:"log_excerpt,omitempty"`
		Status      string      `json:"status"`
		StartTime   string      `json:"start_time,omitempty"`
		Duration    float64     `json:"duration"`
		Misc        testMisc    `json:"misc"`
	}
	environment struct {
		Comment string  `json:"comment"`
		Misc    envMisc `json:"misc"`
	}
	envMisc struct {
		Accel string `json:"accel,omitempty"`
		QEMU  string `json:"qemu,omitempty"`
		CPU   string `json:"cpu,omitempty"`
		Cores int    `json:"cores,omitempty"`
	}
	testMisc struct {
		Kernel   string   `json:"kernel"`
		Scenario string   `json:"scenario,omitempty"`
		Why      string   `json:"why,omitempty"` // as in matrix.Check
		Reasons  []string `json:"reasons,omitempty"`
		// Siginfo are the delivered payloads, in order.
		Siginfo []siginfo `json:"siginfo,omitempty"`
	}
	// siginfo is a payload, with the step and the attempt in which it was delivered.
	siginfo struct {
		Attempt  int    `json:"attempt,omitempty"`
		Step     int    `json:"step"`
		Actor    string `json:"actor"`
		Action   string `json:"action"`
		Signo    int32  `json:"signo"`
		Name     string `json:"name"`
		Code     int32  `json:"code"`
		CodeName string `json:"code_name"`
		Addr     string `json:"addr"`
		LSB      int16  `json:"lsb"`
		Is32     bool   `json:"is_32,omitempty"` // the layout is that of a 32-bit process
		Raw      string `json:"raw"`             // all 128 bytes in hexadecimal
	}
)

// statuses are KCIDB's. MISS is a test that the harness failed to run, ERROR one that
// did not complete, which applies to the run as a whole.
var statuses = map[matrix.State]string{
	matrix.Passed:    "PASS",
	matrix.Skipped:   "SKIP",
	matrix.NotJudged: "MISS",
	matrix.Failed:    "FAIL",
	matrix.Stopped:   "ERROR",
}

// Write writes the run.
func Write(w io.Writer, run results.Run, _ *results.Folder) error { return write(w, run, "") }

// WriteTests writes the tests of a run of one kernel, as tests of a build that another system
// reports: "maestro:ID".
func WriteTests(w io.Writer, run results.Run, build string) error { return write(w, run, build) }

// write writes the run; its tests are of another system's build, or of builds of its own for "".
func write(w io.Writer, run results.Run, other string) error {
	d := document{Version: version{5, 3}, Checkouts: []checkout{}, Builds: []build{}, Tests: []test{}}
	origin := run.Origin
	if origin == "" {
		origin = Origin
	}
	built := map[string]bool{}
	for _, col := range matrix.Columns(run) {
		k := col.Kernel
		id := origin + ":" + kernelID(run, k)
		if other != "" {
			id = sanitize.Line(other)
		} else if !built[id] { // one kernel may have two names
			built[id] = true
			c, b := newBuild(origin, id, k)
			d.Checkouts, d.Builds = append(d.Checkouts, c), append(d.Builds, b)
		}
		for _, c := range col.Checks {
			d.Tests = append(d.Tests, newTest(run, k, c, origin, id))
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(d); err != nil {
		return err
	}
	_, err := w.Write(sanitize.JSON(b.Bytes()))
	return err
}

// kernelID returns the same id for the same kernel in every run.
func kernelID(run results.Run, k results.Kernel) string {
	if k.Digest != "" {
		return sanitize.Line(k.Digest)
	}
	return run.ID + ":" + results.Slug(k.Name)
}

// architectures maps Go's names to the kernel's where they differ.
var architectures = map[string]string{"amd64": "x86_64"}

func newBuild(origin, id string, k results.Kernel) (checkout, build) {
	misc := kernelMisc{
		Spec:    sanitize.Line(k.Spec),
		Release: sanitize.Line(k.Release),
		Version: sanitize.Line(k.Version),
		Digest:  sanitize.Line(k.Digest),
	}
	for _, p := range k.Packages {
		misc.Packages = append(misc.Packages, sanitize.Line(p.Name+" "+p.Version))
	}
	for _, s := range k.Changes {
		misc.Changes = append(misc.Changes, sanitize.Line(s.String()))
	}
	arch, ok := architectures[k.Arch]
	if !ok {
		arch = word(k.Arch, isLower)
	}
	name, status := sanitize.Line(k.Name), "PASS"
	if k.Unavailable != "" {
		status = statuses[matrix.NotJudged]
	}
	return checkout{ID: id, Origin: origin, Comment: name, Valid: true, Misc: misc},
		build{CheckoutID: id, ID: id, Origin: origin, Comment: name, Architecture: arch, Status: status, Misc: misc}
}

func newTest(run results.Run, k results.Kernel, c matrix.Check, origin, build string) test {
	t := test{
		BuildID: build, Origin: origin, Path: path(c), Status: statuses[c.State],
		ID:       origin + ":" + sanitize.Line(run.ID) + "/" + results.Slug(k.Name) + "/" + results.Slug(c.Name),
		Duration: c.Seconds(),
		Misc:     testMisc{Kernel: sanitize.Line(k.Name), Scenario: sanitize.Line(c.Scenario.ID), Why: c.Why},
	}
	t.Environment = environment{
		Comment: sanitize.Line("QEMU " + run.Host.QEMU + " on " + run.Host.OS),
		Misc: envMisc{
			Accel: sanitize.Line(k.Accel),
			QEMU:  sanitize.Line(run.Host.QEMU),
			CPU:   sanitize.Line(run.Host.CPU),
			Cores: run.Host.Cores,
		},
	}
	for _, r := range c.Reasons {
		t.Misc.Reasons = append(t.Misc.Reasons, sanitize.Text(r))
	}
	if len(t.Misc.Reasons) > 0 {
		t.Comment = sanitize.Line(c.Reasons[0])
	}
	if len(c.Cells) > 0 {
		t.Environment.Misc.Accel = sanitize.Line(c.Cells[0].Accel)
		t.StartTime = c.Cells[0].Started.UTC().Format(time.RFC3339Nano)
		if t.Comment == "" {
			t.Comment = sanitize.Line("saw " + c.Cells[0].Headline())
		}
	}
	t.LogExcerpt = excerpt(c)
	for _, cell := range c.Cells {
		t.Misc.Siginfo = append(t.Misc.Siginfo, payloads(cell)...)
	}
	return t
}

func payloads(cell *observe.Cell) []siginfo {
	var out []siginfo
	for i, s := range cell.Steps {
		for _, p := range s.Outcome.Signals {
			out = append(out, siginfo{
				Attempt: cell.Attempt, Step: i + 1, Actor: sanitize.Line(s.Actor), Action: sanitize.Line(s.Action),
				Signo: p.Signo, Name: sanitize.Line(p.Name), Code: p.Code, CodeName: sanitize.Line(p.CodeName),
				Addr: sanitize.Line(p.Addr), LSB: p.LSB, Is32: p.Is32, Raw: p.Raw,
			})
		}
	}
	return out
}

// path returns the check's path in the tree of tests: the parts of its name below
// "faultline", and below its suite if it is not a scenario.
func path(c matrix.Check) string {
	parts := []string{"faultline"}
	if len(c.Cells) == 0 {
		parts = append(parts, c.Suite)
	}
	parts = append(parts, strings.Split(c.Name, "/")...)
	for i, p := range parts {
		parts[i] = word(p, isWord)
	}
	return strings.Join(parts, ".")
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' }
func isWord(r rune) bool  { return isLower(r) || r >= 'A' && r <= 'Z' || r == '-' }

// word replaces each character that is not allowed with _.
func word(s string, may func(rune) bool) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if may(r) {
			return r
		}
		return '_'
	}, s)
}

// mostExcerpt is the limit of a log_excerpt, in characters.
const mostExcerpt = 16384

// excerpt returns the observations, and the end of the kernel's log.
func excerpt(c matrix.Check) string {
	seen := head(sanitize.Text(strings.Join(c.Story(), "\n")), mostExcerpt/2)
	log := sanitize.Text(strings.Join(c.KernelOutput(), "\n"))
	if log == "" {
		return seen
	}
	return seen + "\n" + tail(log, mostExcerpt-utf8.RuneCountInString(seen)-1)
}

func head(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func tail(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}
