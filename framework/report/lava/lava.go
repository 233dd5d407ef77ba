// Package lava writes a run as the signals that a test prints for a LAVA
// dispatcher, which reads them on the device's console: a kernel is a test set, a
// check a test case. It writes what is recorded and concludes nothing.
package lava

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// verdicts are LAVA's results. It has none for an interrupted run: that raises a test
// error, which ends its job as incomplete.
var verdicts = map[matrix.State]string{
	matrix.Passed: "pass", matrix.Skipped: "skip", matrix.NotJudged: "unknown", matrix.Failed: "fail",
}

// Write writes the run. The reasons and observations of a case that did not pass are
// between the signals that begin and end it.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var b strings.Builder
	stopped := ""
	for _, col := range matrix.Columns(run) {
		signal(&b, "TESTSET START "+results.Slug(col.Kernel.Name))
		for _, c := range col.Checks {
			if c.State == matrix.Stopped {
				stopped = "the run was interrupted"
				continue
			}
			id := name(c.Name)
			if c.State != matrix.Passed {
				signal(&b, "STARTTC "+id)
				for _, lines := range [][]string{c.Reasons, c.Story(), c.KernelOutput()} {
					for _, l := range lines {
						b.WriteString(sanitize.Log(strings.TrimRight(l, "\n")) + "\n")
					}
				}
				signal(&b, "ENDTC "+id)
			}
			result := fmt.Sprintf("TESTCASE TEST_CASE_ID=%s RESULT=%s", id, verdicts[c.State])
			if len(c.Cells) > 0 && c.State != matrix.Skipped {
				result += fmt.Sprintf(" MEASUREMENT=%.3f UNITS=seconds", c.Seconds())
			}
			signal(&b, result)
		}
		signal(&b, "TESTSET STOP")
	}
	if stopped != "" {
		signal(&b, "TESTRAISE "+stopped)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func signal(b *strings.Builder, text string) { b.WriteString("<LAVA_SIGNAL_" + text + ">\n") }

// plainName matches a name that a dispatcher reads as one word of a signal.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_./+-]+$`)

// name returns a check's name for a test case, which may have slashes.
func name(s string) string {
	if plainName.MatchString(s) {
		return s
	}
	return results.Slug(s)
}
