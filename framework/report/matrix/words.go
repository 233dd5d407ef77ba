package matrix

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/internal/shell"
)

// labels returns short names of kernels for a sentence: their versions if these differ,
// else their names.
func labels(kernels []results.Kernel) []string {
	var versions, names []string
	distinct := true
	for _, k := range kernels {
		distinct = distinct && k.Version != "" && !slices.Contains(versions, k.Version)
		versions, names = append(versions, k.Version), append(names, k.Name)
	}
	if distinct {
		return versions
	}
	return names
}

// ChangeNamed returns a change's id with its commit and release.
func ChangeNamed(known change.List, id string) string {
	c, err := known.ByID(id)
	if err != nil {
		return id // recorded by another version of Faultline
	}
	var words []string
	for _, w := range []string{c.Commit, c.Since} {
		if w != "" { // optional in a user's change
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return c.ID
	}
	return fmt.Sprintf("%s (%s)", c.ID, strings.Join(words, ", "))
}

// List joins names for a sentence: "a, b and c".
func List(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Count returns a number of things: "1 cell", "2 cells".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// VerdictWords returns the text for a verdict.
func VerdictWords(v observe.Verdict) string {
	switch v {
	case observe.Skipped:
		return "skipped"
	case observe.Infra:
		return "infrastructure failure"
	}
	return string(v)
}

// FindingWords returns the text for a kind of finding.
func FindingWords(k judge.FindingKind) string {
	return strings.ReplaceAll(string(k), "_", " ")
}

// Repeat returns the command that observes a cell again and prints all of it, quoted
// for a shell in the folder in which the run was started.
func Repeat(run results.Run, c observe.Cell) string {
	program := "faultline"
	if len(run.Command) > 0 {
		program = run.Command[0] // as the user typed it, for example bin/faultline
	}
	return shell.Quote([]string{program, "repro", run.CellName(c), "--run", folder(run)})
}

// folder returns the folder into which the run's command wrote its results.
func folder(run results.Run) string {
	for i, arg := range run.Command {
		if dir, ok := strings.CutPrefix(arg, "--out="); ok {
			return dir
		}
		if arg == "--out" && i+1 < len(run.Command) {
			return run.Command[i+1]
		}
	}
	return filepath.Join(filepath.Dir(results.Latest), run.ID)
}

// Printable is sanitize.Line, for formats of lines: a guest's text can neither control
// the terminal nor break a line.
func Printable(s string) string { return sanitize.Line(s) }
