// Package backport says what recorded cells make of a backport: whether the kernel
// with it shows what the change shows and nothing else. It works on a run's record
// alone: no guests, no trees. The same record always gives the same verdict.
package backport

import (
	"slices"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/internal/errkind"
)

// Question says which kernels of a run are compared, by name, and by what.
type Question struct {
	Base    string // the kernel without the backport
	Patched string // the same with it
	// Reference is a kernel that has the change from upstream; "" where none is given.
	Reference string
	// Change is the id of the change that was backported; "" asks what differs.
	Change string
}

// Kind is a verdict's name. Incomplete and Collateral can hold both; each other
// stands alone.
type Kind string

const (
	// Complete: each cell that tells of the change went from before to after, and
	// nothing else moved. Where the question names no change: each difference is of
	// a change that is there as a whole now.
	Complete Kind = "complete"
	// Incomplete: a cell that tells of the change does not show it, or a part of it,
	// or not as the reference does.
	Incomplete Kind = "incomplete"
	// Collateral: something moved that the change does not predict.
	Collateral Kind = "collateral"
	// Unmoved: nothing differs, and the question names no change.
	Unmoved Kind = "nothing moved"
	// AlreadyThere: the base shows the change as well.
	AlreadyThere Kind = "already there"
	// DoesNotBoot: the patched kernel keeps its guest from coming up, the base doesn't.
	DoesNotBoot Kind = "does not boot"
	// BaseDoesNotBoot: the base does, so nothing can be said of the backport.
	BaseDoesNotBoot Kind = "the base does not boot"
	// NotJudged: nothing contradicts the backport, and there are cells that could not
	// be judged.
	NotJudged Kind = "not judged"
)

// Verdict is what a run says of a backport.
type Verdict struct {
	Question
	// Kinds are what holds, at least one.
	Kinds []Kind
	// Flipped are the cells that went from before the change to after it; where the
	// question names none, from before one of Appeared to after it.
	Flipped []Cell
	// Missing are those that tell of the change, and do not show it as they should.
	Missing []Cell
	// Already counts the cells that show the change on the base as well.
	Already int
	// Moved is what differs between base and patched and is not of the change.
	Moved []Moved
	// Unjudged are the cells because of which less can be said.
	Unjudged []Unjudged
	// Compared counts the scenarios that both kernels observed, Same those in which
	// they show the same.
	Compared, Same int
	// Appeared and Vanished are the changes that one of the kernels has as a whole and
	// the other lacks, where the question names no change.
	Appeared, Vanished []string
	// Against is what the comparison with the reference says; nil where there is none.
	Against *Against
	// Boot is why a kernel does not boot, with the end of its console.
	Boot *Unjudged
}

// Cell is a scenario that tells of a change, with what base and patched showed.
type Cell struct {
	Scenario string
	Change   string
	Pairs    []Pair
	// Why says what is missing; "" of a cell that flipped.
	Why Missing
}

// Pair is what a step showed on the base and on the patched kernel; of a cell that
// is not as the reference's, on the patched kernel and on the reference.
type Pair struct {
	From, To string
	// Want is what the change would have shown, of a step that shows something else.
	Want string
}

// Missing is why a cell is no flipped one, the worst of its steps first.
type Missing string

const (
	ElseThere    Missing = "shows something else"
	PartThere    Missing = "shows a part of it only"
	Lost         Missing = "showed it on the base, and does not any more"
	NotThere     Missing = "did not flip"
	NotReference Missing = "shows it, and not as the reference does"
)

// Moved is what differs between two kernels in a scenario, or at their boot.
type Moved struct {
	Scenario string // "" at boot
	// A and B are what the first and the second of the two kernels showed.
	A, B string
	// Fields are what differs; none at boot.
	Fields []judge.Difference
	// By are the changes, or CONFIG_SYMBOL, that explain it, and Unexplained says
	// that there is something that none does.
	By          []string
	Unexplained bool
}

// Unjudged is a cell about which nothing can be said, on one of the kernels.
type Unjudged struct {
	Scenario, Kernel, Why string
	Rig                   bool   // trouble with the rig, not with what the kernel can do
	Console               string // the end of it, where there is one
}

// Against is the comparison of the patched kernel with one that has the change.
type Against struct {
	// State is what the reference has of the change, in words; Has says that it has
	// all of it. Both are empty where the question names no change.
	State string
	Has   bool
	// Alike counts the cells in which both show the change, and nothing differs that
	// is not explained.
	Alike int
	// Moved is what differs, from the patched kernel to the reference.
	Moved []Moved
	// Unjudged are the reference's cells that can't be compared.
	Unjudged []Unjudged
}

// Is says whether a kind holds.
func (v Verdict) Is(k Kind) bool { return slices.Contains(v.Kinds, k) }

// ExitCode is what the command ends with; see package fault.
func (v Verdict) ExitCode() int {
	switch {
	case v.Is(Incomplete), v.Is(Collateral), v.Is(DoesNotBoot), v.Is(AlreadyThere):
		return errkind.ExitUnexpected
	case v.Is(NotJudged), v.Is(BaseDoesNotBoot):
		return errkind.ExitInfra
	}
	return errkind.ExitExpected
}
