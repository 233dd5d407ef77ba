// Package change lists the kernel changes that Faultline knows: behaviour that
// differs between kernels for a reason. Expectations hang on a change, never
// on a version, because stable and vendor kernels carry backports. The package
// says what a change is and what it moves besides the steps that follow it; it
// knows no kernel and judges none.
package change

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/suggest"
)

// Change is a kernel commit after which user space sees something else. Each
// has a file of its own.
type Change struct {
	// ID is the name that scenarios, matrices and reports use.
	ID string `json:"id"`
	// Commit is the upstream commit's first 12 hexadecimal digits; a user's may be
	// longer, or empty.
	Commit string `json:"commit,omitempty"`
	// Subject is the commit's subject line.
	Subject string `json:"subject"`
	// Since is the first upstream release with it, "v6.5"; of a user's, it may be empty.
	Since string `json:"since,omitempty"`
	// Stable are the stable updates that brought it to older series, the first of each
	// series: "6.14.3", "6.12.24".
	Stable []string `json:"stable,omitempty"`
	// Until is the first upstream release that mended it, of a change that is a bug: who
	// lacks it has lost nothing.
	Until string `json:"until,omitempty"`
	// Effect says in one sentence what user space sees of it.
	Effect string `json:"effect"`
	// CallPath are the kernel functions from where the poison is met to what user space is
	// told, in the order in which they are come by. Those that docs/reference/catalogue.md or a
	// comment here names are known; of a user's change none are.
	CallPath []string `json:"-"`
	// Scenarios are the scenarios that follow it, as globs of path.Match in which a *
	// stands for a part of an id: those whose steps tell which side of it a
	// kernel is on. A test holds them against the compiled suites.
	Scenarios []string `json:"telling,omitempty"`
	// NeedsConfig are configuration symbols without which user space can't see the
	// change, whether the kernel has it or not.
	NeedsConfig []string `json:"shown_with,omitempty"`
	// Steps are what steps show of it that do not follow it.
	Steps []Show `json:"shows,omitempty"`
	// Witnesses are the witnesses that it changes, beside those steps.
	Witnesses []Move `json:"moves,omitempty"`
}

// Move says what a change makes of a witness. What no move says, the change
// does not explain.
type Move struct {
	// Scenarios is a glob of scenario ids, as in Change.Scenarios; empty takes all.
	Scenarios string `json:"scenarios,omitempty"`
	// Witness is the witness's name (observe.Cell.Witnesses), in which a * stands
	// for anything.
	Witness string `json:"witness"`
	// Before and After are its value on a kernel without and with the change, in
	// which a * stands for anything. Of the log, they are one line; empty says
	// that there is no such line.
	Before string `json:"before"`
	After  string `json:"after"`
}

// Takes says whether the move is about a witness of a scenario.
func (m Move) Takes(scenario, witness string) bool {
	return (m.Scenarios == "" || Matches(m.Scenarios, scenario)) && like(m.Witness, witness)
}

// From says whether a value is what the move begins with, and To whether it is
// what it ends with.
func (m Move) From(value string) bool { return like(m.Before, value) }

// To is described with From.
func (m Move) To(value string) bool { return like(m.After, value) }

// Tells says whether a scenario is one of those that tell of the change.
func (c Change) Tells(scenario string) bool {
	return slices.ContainsFunc(c.globs(), func(g string) bool { return Matches(g, scenario) })
}

// Matches holds a scenario's id against a glob: a * does not cross a slash.
func Matches(glob, scenario string) bool {
	ok, err := path.Match(glob, scenario)
	return ok && err == nil
}

// like matches a text against one in which a * stands for anything.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		_, behind, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = behind
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// List are changes, in the order in which reports and findings name them.
type List []Change

// All are the changes that Faultline knows, in upstream order.
func All() List {
	return List{
		KillEarlyOnConsumption, MadvisePopulate, ShmemKeepsErrorPage, CopyFromUserQuiet, DeviceDaxCompound, NfitMiscGranularity, DaxRecoveryWrite, SwapinErrorMarker, AMDPanics, CountedByAction, UnpoisonAfterMCE,
		HugetlbGigantic, DedupeErrorLost, CopyUserHighpageMC, HugetlbKeepsErrorPage, KSMPoison, DaxFaultHWPoison, PoisonedMarker, UserfaultfdPoison, HugetlbReadsGoodPages, BadblocksSorted, MadvisePopulateReturns,
		MadviseActionRequired, ThpSplitSigbus, EnableSoftOffline, DaxFolios,
	}
}

// IDs are the changes' ids, in the list's order.
func (l List) IDs() []string {
	var ids []string
	for _, c := range l {
		ids = append(ids, c.ID)
	}
	return ids
}

// ByID finds a change by its name.
func (l List) ByID(id string) (Change, error) {
	for _, c := range l {
		if c.ID == id {
			return c, nil
		}
	}
	if names := suggest.Names(id, l.IDs()); len(names) > 0 {
		return Change{}, fmt.Errorf("no known change %q; did you mean %s?", id, strings.Join(names, " or "))
	}
	return Change{}, fmt.Errorf("no known change %q; known are %s", id, strings.Join(l.IDs(), ", "))
}
