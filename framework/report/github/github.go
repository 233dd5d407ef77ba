// Package github writes a run as commands of a GitHub Actions log, which become
// annotations of the job. It writes what is recorded and concludes nothing.
package github

import (
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

// Limits of the runner for a step.
const (
	mostOfALevel = 10   // annotations of a level; it drops the rest
	mostMessage  = 4000 // characters of a message; it truncates at 4096
)

// annotation is one command.
type annotation struct{ title, message string }

// Write writes the run: errors, the most significant first, for everything that makes
// the exit code other than 0; notices for skipped scenarios, and the headline of a run
// without errors.
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	var stopped, errs, notices []annotation
	for _, col := range matrix.Columns(run) {
		for _, c := range col.Checks {
			switch c.State {
			case matrix.Stopped:
				stopped = append(stopped, annotation{"interrupted", col.Kernel.Name + ": " + strings.Join(c.Reasons, "; ")})
			case matrix.Failed:
				errs = append(errs, annotation{strings.ReplaceAll(c.Why, "_", " "), strings.Join(c.Reasons, "\n")})
			}
		}
	}
	errs = append(stopped, errs...)
	errs = append(errs, reasons("infrastructure failure", matrix.Reasons(run, observe.Infra))...)
	errs = append(errs, reasons("not compared", matrix.Uncompared(run))...)
	if len(errs) == 0 {
		h := matrix.NewHeadline(run)
		notices = append(notices, annotation{"as expected", strings.Join(append([]string{h.Sentence}, h.Changes...), "\n")})
	}
	notices = append(notices, reasons("skipped", matrix.Reasons(run, observe.Skipped))...)
	var b strings.Builder
	level(&b, "error", errs)
	level(&b, "notice", notices)
	_, err := io.WriteString(w, b.String())
	return err
}

// reasons returns one annotation for each kernel and reason: it is the same for every
// scenario if a kernel does not boot.
func reasons(title string, all []matrix.Reason) []annotation {
	var out []annotation
	for _, r := range all {
		what := r.Scenarios[0]
		if n := len(r.Scenarios); n > 1 {
			what = english.Plural(n, "scenario", "")
		}
		out = append(out, annotation{title, fmt.Sprintf("%s on %s: %s", what, r.Kernel, r.Message)})
	}
	return out
}

// level writes the annotations of a level; if there are more than the runner shows, the
// last one counts the rest.
func level(b *strings.Builder, name string, all []annotation) {
	if len(all) > mostOfALevel {
		var rest []string
		count := map[string]int{}
		for _, a := range all[mostOfALevel-1:] {
			if count[a.title] == 0 {
				rest = append(rest, a.title)
			}
			count[a.title]++
		}
		for i, title := range rest {
			rest[i] = fmt.Sprintf("%d %s", count[title], title)
		}
		more := len(all) - mostOfALevel + 1
		all = append(
			all[:mostOfALevel-1:mostOfALevel-1],
			annotation{fmt.Sprintf("%d more", more), english.WordSeries(rest, "and")},
		)
	}
	for _, a := range all {
		message := []rune(strings.TrimSpace(sanitize.Text(a.message)))
		if len(message) > mostMessage {
			message = append(message[:mostMessage-1], '…')
		}
		fmt.Fprintf(b, "::%s title=%s::%s\n", name, property.Replace(sanitize.Line(a.title)), data.Replace(string(message)))
	}
}

// The runner's escapes for what would end a message, or a property of it.
var (
	data     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
