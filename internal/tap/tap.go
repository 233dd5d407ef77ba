// Package tap reads what test programs print: TAP (testanything.org), and KTAP, which
// the kernel's self tests speak (Documentation/dev-tools/ktap.rst).
package tap

import (
	"regexp"
	"strconv"
	"strings"
)

// Report is what a program told.
type Report struct {
	// Told says that there was a plan, a version or a test: the program speaks TAP.
	Told bool
	// Planned is how many tests it announced, or -1.
	Planned int
	// Skipped is why it runs none at all, of a plan of none that says so.
	Skipped string
	// BailOut is why it gave up, where it did.
	BailOut string
	Tests   []Test
}

// Test is a test of the outermost level. Those below it are in Notes where they failed.
type Test struct {
	Name string
	OK   bool
	// Directive is what stands behind the test, in capitals: SKIP, TODO, XFAIL and
	// others of KTAP; empty for none. Reason is what stands behind that.
	Directive, Reason string
	// Notes are the lines about it that are no test, of one that failed or was skipped.
	Notes []string
}

// Skipped says that the test was not run.
func (t Test) Skipped() bool { return t.Directive == "SKIP" }

// Counts says that it was run and is to pass: TAP's TODO says of a test that what it
// tests is not there yet, and KTAP's XFAIL that its failure is known.
func (t Test) Counts() bool {
	return !t.Skipped() && t.Directive != "TODO" && t.Directive != "XFAIL"
}

// Failed says that it found what nobody expected of it.
func (t Test) Failed() bool { return !t.OK && t.Counts() }

var (
	version  = regexp.MustCompile(`^K?TAP version \d+$`)
	plan     = regexp.MustCompile(`^1\.\.(\d{1,9})\s*(?:#\s*(.*))?$`)
	test     = regexp.MustCompile(`^(not )?ok\b(?: +(\d+))?(?: +- +| +|$)(.*)$`)
	skipsAll = regexp.MustCompile(`(?i)^skip\S*\s*(.*)$`)
	bailOut  = regexp.MustCompile(`^Bail out!\s*(.*)$`)
	// directive is behind a # that no backslash keeps from being one.
	directive = regexp.MustCompile(`(?i)^(.*?)(?:^|[^\\])#\s*(skip|todo|xfail|xpass|error|timeout)\S*\s*(.*)$`)
	// progress is what the harness of the kernel's self tests says of itself.
	progress = regexp.MustCompile(`^#\s+(?:RUN|OK|FAIL|SKIP|XFAIL)\b|^# Starting \d+ tests|^# (?:PASSED|FAILED|Totals): `)
)

// mostNotes is how many lines are kept of what a failed test says.
const mostNotes = 5

// Read reads what a program printed.
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
			r.Told = true
		case plan.MatchString(line):
			m := plan.FindStringSubmatch(line)
			r.Told = true
			r.Planned, _ = strconv.Atoi(m[1])
			if skips := skipsAll.FindStringSubmatch(m[2]); r.Planned == 0 && skips != nil {
				r.Skipped = skips[1]
				if r.Skipped == "" {
					r.Skipped = "without a reason"
				}
			}
		case bailOut.MatchString(line):
			r.Told, r.BailOut = true, bailOut.FindStringSubmatch(line)[1]
			if r.BailOut == "" {
				r.BailOut = "without a reason"
			}
		case test.MatchString(line):
			r.Told = true
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
