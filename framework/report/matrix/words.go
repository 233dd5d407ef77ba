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

// labels are short names of kernels for a sentence: their versions, where
// these tell them apart.
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

// ChangeNamed is a change as a sentence names it: with its commit and release.
func ChangeNamed(known change.List, id string) string {
	c, err := known.ByID(id)
	if err != nil {
		return id // recorded by another version of Faultline
	}
	var words []string
	for _, w := range []string{c.Commit, c.Since} {
		if w != "" { // a user need not say it
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

// Count is a number of things: "1 cell", "2 cells".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// VerdictWords names a verdict for a person.
func VerdictWords(v observe.Verdict) string {
	switch v {
	case observe.Skipped:
		return "not doable"
	case observe.Infra:
		return "rig failed"
	}
	return string(v)
}

// FindingWords names a kind of finding for a person.
func FindingWords(k judge.FindingKind) string {
	return strings.ReplaceAll(string(k), "_", " ")
}

// Repeat is the command that observes a cell again and shows all of it, quoted for
// a shell in the folder in which the run was started.
func Repeat(run results.Run, c observe.Cell) string {
	program := "faultline"
	if len(run.Command) > 0 {
		program = run.Command[0] // as it was called, bin/faultline perhaps
	}
	return shell.Quote([]string{program, "repro", run.CellName(c), "--run", folder(run)})
}

// folder is where the run's command put its results.
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

// Printable is sanitize.Line, for who draws a record as lines: what a guest said
// neither steers the terminal nor breaks a line.
func Printable(s string) string { return sanitize.Line(s) }
