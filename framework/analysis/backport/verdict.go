// Package backport judges a backport from recorded cells: whether the patched kernel
// behaves like the upstream change, without other differences. It works on a run's
// record alone and starts no guest. The same record always gives the same verdict.
package backport

import (
	"slices"

	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/internal/errkind"
)

// Question names the kernels of a run to compare, and the change.
type Question struct {
	Base    string // the kernel without the backport
	Patched string // the same kernel with it
	// Reference is a kernel that has the change from upstream; "" where none is given.
	Reference string
	// Change is the id of the backported change; "" asks what differs.
	Change string
}

// Kind is a verdict's name. Incomplete and Collateral may both hold; every other kind
// holds alone.
type Kind string

const (
	// Complete: each cell that covers the change went from before to after, and nothing
	// else differs. If the question names no change: each difference belongs to a
	// change that the patched kernel has completely.
	Complete Kind = "complete"
	// Incomplete: a cell that covers the change does not show it, shows only a part of
	// it, or differs from the reference.
	Incomplete Kind = "incomplete"
	// Collateral: something differs that the change does not predict.
	Collateral Kind = "collateral"
	// Unmoved: nothing differs, and the question names no change.
	Unmoved Kind = "nothing moved"
	// AlreadyThere: the base shows the change as well.
	AlreadyThere Kind = "already there"
	// DoesNotBoot: the patched kernel does not boot, the base does.
	DoesNotBoot Kind = "does not boot"
	// BaseDoesNotBoot: the base does not boot, so the backport cannot be judged.
	BaseDoesNotBoot Kind = "the base does not boot"
	// NotJudged: nothing contradicts the backport, but some cells could not be judged.
	NotJudged Kind = "not judged"
)

// Verdict is the result for a backport.
type Verdict struct {
	Question
	// Kinds are the kinds that hold, at least one.
	Kinds []Kind
	// Flipped are the cells that went from before the change to after it; if the
	// question names none, from before one of Appeared to after it.
	Flipped []Cell
	// Missing are the cells that cover the change and do not show it as they should.
	Missing []Cell
	// Already counts the cells that show the change on the base as well.
	Already int
	// Moved are the differences between base and patched that the change does not
	// predict.
	Moved []Moved
	// Unjudged are the cells that could not be judged.
	Unjudged []Unjudged
	// Compared counts the scenarios that both kernels observed, Same those without a
	// difference.
	Compared, Same int
	// Appeared and Vanished are the changes that only the patched kernel, or only the
	// base, has completely; set if the question names no change.
	Appeared, Vanished []string
	// Against is the comparison with the reference; nil if there is none.
	Against *Against
	// Explored is what generated programs showed; nil if none were run.
	Explored *Explored
	// Boot is why a kernel does not boot, with the end of its console.
	Boot *Unjudged
}

// Cell is a scenario that covers a change, with the outcomes on base and patched.
type Cell struct {
	Scenario string
	Change   string
	Pairs    []Pair
	// Why is what is missing; "" for a cell that flipped.
	Why Missing
}

// Pair is a step's outcome on the base and on the patched kernel; if the cell differs
// from the reference's, on the patched kernel and on the reference.
type Pair struct {
	From, To string
	// Want is the outcome with the change, if To is something else.
	Want string
}

// Missing is why a cell did not flip, the worst of its steps first.
type Missing string

const (
	ElseThere    Missing = "shows something else"                     // neither the old nor the new result
	PartThere    Missing = "shows only a part of it"                  // the result of a part of the change
	Lost         Missing = "shows it on the base only"                // the patches remove the change
	NotThere     Missing = "did not flip"                             // the old result on both kernels
	NotReference Missing = "shows it, but differs from the reference" // the new result, in another form
)

// Moved is a difference between two kernels in a scenario, or at their boot.
type Moved struct {
	Scenario string // "" at boot
	// A and B are the observations on the first and on the second kernel.
	A, B string
	// Fields are the fields that differ; none at boot.
	Fields []conclusion.Difference
	// By are the changes, or CONFIG_SYMBOL, that explain it; Unexplained reports that
	// a part of it is unexplained.
	By          []string
	Unexplained bool
}

// Unjudged is a cell that could not be judged on one of the kernels.
type Unjudged struct {
	Scenario, Kernel, Why string
	Infra                 bool   // an infrastructure failure, not a limit of the kernel
	Console               string // the end of the console, if there is one
}

// Against is the comparison of the patched kernel with one that has the change.
type Against struct {
	// State describes the state of the change on the reference; Has reports that the
	// reference has it completely. Both are empty if the question names no change.
	State string
	Has   bool
	// Alike counts the cells in which both show the change without an unexplained
	// difference.
	Alike int
	// Moved are the differences, from the patched kernel to the reference.
	Moved []Moved
	// Unjudged are the reference's cells that cannot be compared.
	Unjudged []Unjudged
}

// Explored is what generated programs showed on base and patched.
type Explored struct {
	Programs int // that ran on both
	// Predicted counts those in which the change predicts a difference.
	Predicted int
	// Upstream are the programs with a difference that the change does not predict, and that
	// the reference shows, too.
	Upstream []string
	// Moved are the other differences, each with the least program that shows it.
	Moved []Moved
}

// Explore returns the verdict with an exploration: a difference that neither the change
// predicts nor the reference shows is collateral.
func (v Verdict) Explore(e Explored) Verdict {
	v.Explored = &e
	if len(e.Moved) > 0 && !v.Is(Collateral) {
		v.Kinds = slices.DeleteFunc(slices.Clone(v.Kinds), func(k Kind) bool { return k != Incomplete })
		v.Kinds = append(v.Kinds, Collateral)
	}
	return v
}

// Is reports whether a kind holds.
func (v Verdict) Is(k Kind) bool { return slices.Contains(v.Kinds, k) }

// ExitCode is the command's exit code; see package errkind.
func (v Verdict) ExitCode() int {
	switch {
	case v.Is(Incomplete), v.Is(Collateral), v.Is(DoesNotBoot), v.Is(AlreadyThere):
		return errkind.ExitUnexpected
	case v.Is(NotJudged), v.Is(BaseDoesNotBoot):
		return errkind.ExitInfra
	}
	return errkind.ExitExpected
}
