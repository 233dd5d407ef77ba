// Package tap parses the output of test programs: TAP (testanything.org), and KTAP, the
// format of the kernel's selftests (Documentation/dev-tools/ktap.rst). It does not judge
// a program.
package tap

import (
	"regexp"
	"strconv"
	"strings"
)

// Report is the parsed output of a program.
type Report struct {
	// IsTAP reports that the output is TAP: it has a plan, a version or a test.
	IsTAP bool
	// Planned is the number of tests in the plan, or -1.
	Planned int
	// Skipped is the reason of a plan that skips all tests ("1..0 # SKIP").
	Skipped string
	// BailOut is the reason why the program gave up, or "".
	BailOut string
	Tests   []Test
}

// Test is a test of the outermost level. Notes has its subtests that failed.
type Test struct {
	Name string
	OK   bool
	// Directive follows the test, in capitals: SKIP, TODO, XFAIL and others of KTAP;
	// "" for none. Reason is the text after it.
	Directive, Reason string
	// Notes are the diagnostic lines of a test that failed or was skipped.
	Notes []string
}

// Skipped reports whether the test was skipped.
func (t Test) Skipped() bool { return t.Directive == "SKIP" }

// Counts reports whether the test was run and should pass: TAP's TODO marks a feature that
// does not exist yet, KTAP's XFAIL an expected failure.
func (t Test) Counts() bool {
	return !t.Skipped() && t.Directive != "TODO" && t.Directive != "XFAIL"
}

// Failed reports whether the test failed unexpectedly.
func (t Test) Failed() bool { return !t.OK && t.Counts() }

var (
	version  = regexp.MustCompile(`^K?TAP version \d+$`)
	plan     = regexp.MustCompile(`^1\.\.(\d{1,9})\s*(?:#\s*(.*))?$`)
	test     = regexp.MustCompile(`^(not )?ok\b(?: +(\d+))?(?: +- +| +|$)(.*)$`)
	skipsAll = regexp.MustCompile(`(?i)^skip\S*\s*(.*)$`)
	bailOut  = regexp.MustCompile(`^Bail out!\s*(.*)$`)
	// directive follows a # that is not escaped by a backslash.
	directive = regexp.MustCompile(`(?i)^(.*?)(?:^|[^\\])#\s*(skip|todo|xfail|xpass|error|timeout)\S*\s*(.*)$`)
	// progress matches the progress lines of the kselftest harness.
	progress = regexp.MustCompile(`^#\s+(?:RUN|OK|FAIL|SKIP|XFAIL)\b|^# Starting \d+ tests|^# (?:PASSED|FAILED|Totals): `)
)

// mostNotes is the maximum number of diagnostic lines kept per test.
const mostNotes = 5

// Read parses the output of a program.
func Read(text string) (r Report) {
	r.Planned = -1
	var notes []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n \t")
		switch nested := strings.HasPrefix(line, " "); {
		case line == "":
		case nested:
			if m := test.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[1] != "" {
				notes = append(notes, strings.TrimSpace(line))
			}
		case version.MatchString(line):
			r.IsTAP = true
		case plan.MatchString(line):
			m := plan.FindStringSubmatch(line)
			r.IsTAP = true
			r.Planned, _ = strconv.Atoi(m[1])
			if skips := skipsAll.FindStringSubmatch(m[2]); r.Planned == 0 && skips != nil {
				r.Skipped = skips[1]
				if r.Skipped == "" {
					r.Skipped = "without a reason"
				}
			}
		case bailOut.MatchString(line):
			r.IsTAP, r.BailOut = true, bailOut.FindStringSubmatch(line)[1]
			if r.BailOut == "" {
				r.BailOut = "without a reason"
			}
		case test.MatchString(line):
			r.IsTAP = true
			m := test.FindStringSubmatch(line)
			t := Test{OK: m[1] == "", Name: m[3]}
			if d := directive.FindStringSubmatch(m[3]); d != nil {
				at := strings.LastIndex(m[3][:len(m[3])-len(d[3])], "#")
				t.Name, t.Directive, t.Reason = m[3][:at], strings.ToUpper(d[2]), strings.TrimSpace(d[3])
			}
			if t.Name = strings.TrimSpace(strings.ReplaceAll(t.Name, `\#`, "#")); t.Name == "" {
				t.Name = "test " + strconv.Itoa(len(r.Tests)+1)
			}
			if t.Failed() || t.Skipped() {
				t.Notes = notes
			}
			r.Tests, notes = append(r.Tests, t), nil
		case strings.HasPrefix(line, "#") && !progress.MatchString(line):
			notes = append(notes, strings.TrimSpace(strings.TrimLeft(line, "#")))
		}
		notes = notes[:min(len(notes), mostNotes)]
	}
	return r
}
