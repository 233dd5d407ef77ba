package matrix

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/conclusion"
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

// FindingWords returns the text for a kind of finding.
func FindingWords(k conclusion.FindingKind) string {
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
