// Package change lists the kernel changes that Faultline knows: the reasons why
// kernels behave differently. Expectations depend on a change, never on a version,
// because stable and vendor kernels carry backports. The package defines what a change
// is and which witnesses it alters besides the steps that depend on it. It depends on no kernel
// and judges none.
package change

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/suggest"
)

// Change is a kernel commit that alters what user space observes. Each change has a
// file of its own.
type Change struct {
	// ID is the name that scenarios, matrices and reports use.
	ID string `json:"id"`
	// Commit is the first 12 hexadecimal digits of the upstream commit, or empty if it is not
	// known; in a declared change it may be longer.
	Commit string `json:"commit,omitempty"`
	// Subject is the commit's subject line.
	Subject string `json:"subject"`
	// Since is the first upstream release with it, "v6.5"; in a declared change it may be
	// empty.
	Since string `json:"since,omitempty"`
	// Stable lists the stable updates that it was backported to, the first of each
	// series: "6.14.3", "6.12.24".
	Stable []string `json:"stable,omitempty"`
	// Until is the first upstream release that fixed it, for a change that is a bug: a
	// kernel without such a change has no defect.
	Until string `json:"until,omitempty"`
	// Fixed lists the stable updates that fixed such a bug, the first of each series:
	// "6.17.6", "6.12.56".
	Fixed []string `json:"fixed,omitempty"`
	// Effect is one sentence on what user space observes.
	Effect string `json:"effect"`
	// CallPath lists the kernel functions involved, from the poison to user space, as far as
	// docs/reference/catalogue.md or a comment here names them. They need not call each other. A
	// declared change has none.
	CallPath []string `json:"-"`
	// Scenarios lists the scenarios that depend on it: their steps show whether a kernel has
	// it. They are globs of path.Match, in which a * matches within one part of an id. A
	// test compares them with the suites.
	Scenarios []string `json:"telling,omitempty"`
	// NeedsConfig lists the configuration symbols without which user space cannot observe
	// the change, even if the kernel has it.
	NeedsConfig []string `json:"shown_with,omitempty"`
	// Steps lists its effect on steps that do not depend on it.
	Steps []StepEffect `json:"shows,omitempty"`
	// Witnesses lists its effect on witnesses.
	Witnesses []WitnessEffect `json:"moves,omitempty"`
	// Signatures are its effects on generated programs. A declared change has none.
	Signatures []Signature `json:"-"`
}

// WitnessEffect is the effect of a change on a witness. A change explains no difference
// that its Witnesses do not list.
type WitnessEffect struct {
	// Scenarios is a glob of scenario ids, as in Change.Scenarios; empty matches all.
	Scenarios string `json:"scenarios,omitempty"`
	// Witness is the name of the witness (observe.Cell.Witnesses), in which a * matches
	// any text.
	Witness string `json:"witness"`
	// Before and After are its value on a kernel without and with the change, in which a
	// * matches any text. For the log, they are one line; empty means that there is no
	// such line.
	Before string `json:"before"`
	After  string `json:"after"`
}

// Applies reports whether the effect is on a witness of a scenario.
func (m WitnessEffect) Applies(scenario, witness string) bool {
	return (m.Scenarios == "" || Matches(m.Scenarios, scenario)) && like(m.Witness, witness)
}

// From reports whether a value matches Before.
func (m WitnessEffect) From(value string) bool { return like(m.Before, value) }

// To reports whether a value matches After.
func (m WitnessEffect) To(value string) bool { return like(m.After, value) }

// Covers reports whether a scenario can show whether a kernel has the change.
func (c Change) Covers(scenario string) bool {
	return slices.ContainsFunc(c.globs(), func(g string) bool { return Matches(g, scenario) })
}

// Matches reports whether a scenario's id matches a glob: a * does not match a slash.
func Matches(glob, scenario string) bool {
	ok, err := path.Match(glob, scenario)
	return ok && err == nil
}

// like reports whether a text matches a pattern, in which a * matches any text.
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
		_, after, found := strings.Cut(rest, p)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// List is a list of changes, in the order in which reports and findings name them.
type List []Change

// All returns the changes that Faultline knows, in upstream order.
func All() List {
	return List{
		KillEarlyOnConsumption,
		AlreadyPoisoned,
		MadvisePopulate,
		DroppedPageSigbus,
		ShmemKeepsErrorPage,
		CopyFromUserQuiet,
		DeviceDaxCompound,
		UnpoisonPageCount, NfitMiscGranularity,
		DaxRecoveryWrite,
		SwapinErrorMarker,
		MadviseFreePoison,
		AMDPanics,
		CountedByAction,
		SoftOfflineFilter,
		UnpoisonAfterMCE,
		HugetlbGigantic,
		HugetlbKeepsErrorPage,
		MadviseCollapse,
		DedupeErrorLost,
		CopyUserHighpageMC,
		NodeCounters,
		KSMPoison,
		DaxFaultHWPoison,
		PoisonedMarker,
		UserfaultfdPoison,
		HugetlbReadsGoodPages,
		PagemapScan,
		BadblocksSorted, UserfaultfdMove,
		MadvisePopulateReturns,
		MadviseActionRequired,
		ThpSplitSigbus,
		EnableSoftOffline,
		PoisonCountedAgain,
		ThpZeroRemap,
		MadviseGuard,
		BadblocksFull, DaxFolios,
		UnpoisonOnline,
		PanicUnrecoverable,
	}
}

// IDs returns the ids of the changes, in the order of the list.
func (l List) IDs() []string {
	var ids []string
	for _, c := range l {
		ids = append(ids, c.ID)
	}
	return ids
}

// ByID returns the change with this id.
func (l List) ByID(id string) (Change, error) {
	for _, c := range l {
		if c.ID == id {
			return c, nil
		}
	}
	for _, c := range l {
		if len(id) >= 7 && strings.HasPrefix(c.Commit, id) || c.Commit != "" && strings.HasPrefix(id, c.Commit) {
			return Change{}, fmt.Errorf("%q is the commit of the change %s; give that id", id, c.ID)
		}
	}
	if names := suggest.Names(id, l.IDs()); len(names) > 0 {
		return Change{}, fmt.Errorf("no known change %q; did you mean %s?", id, strings.Join(names, " or "))
	}
	return Change{}, fmt.Errorf("no known change %q; known are %s", id, strings.Join(l.IDs(), ", "))
}

// Named returns a change's id with its commit and release, for a sentence:
// "dax_fault_hwpoison (1ea7ca1b0901, v6.5)".
func (l List) Named(id string) string {
	c, err := l.ByID(id)
	if err != nil {
		return id // recorded by another version of Faultline
	}
	var facts []string
	for _, f := range []string{c.Commit, c.Since} {
		if f != "" { // optional in a user's change
			facts = append(facts, f)
		}
	}
	if len(facts) == 0 {
		return c.ID
	}
	return fmt.Sprintf("%s (%s)", c.ID, strings.Join(facts, ", "))
}
