// Package junit writes a run as JUnit's XML, which GitLab, Jenkins and most other
// CI systems read: a kernel is a suite, a check a case. It writes what is recorded
// and concludes nothing.
package junit

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/onsi/ginkgo/v2/reporters"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// The elements are Ginkgo's. Where one has an attribute that Jenkins' schema
// (junit-10.xsd of its xunit plugin) refuses, a field of ours hides it.
type (
	testSuites struct {
		reporters.JUnitTestSuites
		Disabled   string      `xml:"disabled,attr,omitempty"`
		TestSuites []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		reporters.JUnitTestSuite
		Disabled  string     `xml:"disabled,attr,omitempty"`
		TestCases []testCase `xml:"testcase"`
	}
	testCase struct {
		reporters.JUnitTestCase
		Status string `xml:"status,attr,omitempty"`
	}
)

// Write writes the run. An unexpected behaviour or a finding is a failure; an
// infrastructure failure or an interruption is an error with that type; a skipped
// scenario is skipped.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var all testSuites
	for _, col := range matrix.Columns(run) {
		s := newSuite(run, col)
		all.Tests += s.Tests
		all.Errors += s.Errors
		all.Failures += s.Failures
		all.Time = seconds(all.Time + s.Time)
		all.TestSuites = append(all.TestSuites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// seconds rounds to milliseconds: the schema allows three digits.
func seconds(s float64) float64 { return math.Round(s*1000) / 1000 }

func newSuite(run results.Run, col matrix.Column) testSuite {
	var out testSuite
	out.Name, out.Package = sanitize.Line(col.Kernel.Name), sanitize.Line(col.Kernel.Spec)
	out.Timestamp = run.Started.UTC().Format("2006-01-02T15:04:05")
	out.Properties.Properties = properties(run, col.Kernel)
	for _, c := range col.Checks {
		// The class contains the kernel, because GitLab shows the class as the suite, and
		// only the first of two cases with the same class and name. The suite follows the
		// last dot, where Jenkins separates package and class.
		t := newCase(c)
		t.Classname = out.Name + "." + sanitize.Line(c.Suite)
		out.Tests++
		switch {
		case t.Failure != nil:
			out.Failures++
		case t.Error != nil:
			out.Errors++
		case t.Skipped != nil:
			out.Skipped++
		}
		out.Time = seconds(out.Time + t.Time)
		out.TestCases = append(out.TestCases, t)
	}
	return out
}

func newCase(c matrix.Check) testCase {
	var out testCase
	out.Name, out.Time = sanitize.Line(c.Name), seconds(c.Seconds())
	first, text := "", sanitize.Text(strings.Join(c.Reasons, "\n"))
	if len(c.Reasons) > 0 {
		first = sanitize.Line(c.Reasons[0])
	}
	switch c.State {
	case matrix.Failed:
		out.Failure = &reporters.JUnitFailure{Message: first, Type: c.Why, Description: text}
	case matrix.NotJudged, matrix.Stopped:
		out.Error = &reporters.JUnitError{Message: first, Type: c.Why, Description: text}
	case matrix.Skipped:
		out.Skipped = &reporters.JUnitSkipped{Message: first}
	}
	out.SystemOut = sanitize.Text(strings.Join(c.Story(), "\n"))
	if c.State != matrix.Passed {
		out.SystemErr = sanitize.Text(strings.Join(c.KernelOutput(), "\n"))
	}
	return out
}

func properties(run results.Run, k results.Kernel) []reporters.JUnitProperty {
	var out []reporters.JUnitProperty
	add := func(name, value string) {
		if value != "" {
			out = append(out, reporters.JUnitProperty{Name: name, Value: sanitize.Line(value)})
		}
	}
	add("run", run.ID)
	add("faultline", run.Tool.Version)
	add("spec", k.Spec)
	add("release", k.Release)
	add("version", k.Version)
	add("arch", k.Arch)
	add("accel", k.Accel)
	add("digest", k.Digest)
	for _, p := range k.Packages {
		add("package", p.Name+" "+p.Version)
	}
	for _, s := range k.Changes {
		add("change", s.String())
	}
	add("splats at boot", strings.Join(k.Splats, "; "))
	if k.BootMillis > 0 {
		add("boot", fmt.Sprintf("%.3f s", k.BootMillis/1000))
	}
	return out
}
