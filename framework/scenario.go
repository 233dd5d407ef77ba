package framework

import (
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/suite"
)

// Trait is a property of a scenario, known without running it: an argument of Scenario.
// All traits are optional.
type Trait func(*scenario.Info)

// add appends the values that are not in the list yet.
func add(list *[]string, values ...string) {
	for _, v := range values {
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
}

// Needs lists the configuration symbols, without CONFIG_, that a kernel must have for the
// scenario. On a kernel without one of them the scenario is skipped, with the symbol as
// the reason. Symbols that every guest needs are not listed again: see package required.
func Needs(symbols ...string) Trait {
	return func(i *scenario.Info) { add(&i.Needs, symbols...) }
}

// Changes lists the changes on which expectations of the scenario depend: those of
// DependOn, PartOf and IfMissing. The matchers alone are not enough, because they are
// only evaluated when the scenario runs: the list of scenarios, their labels and the
// choice of scenarios for a change use the trait. Name the scenario in Change.Scenarios
// too; a test compares the two.
func Changes(changes ...change.Change) Trait {
	return func(i *scenario.Info) {
		for _, c := range changes {
			add(&i.Changes, c.ID)
		}
	}
}

// Catalogue sets the number of a prediction that the scenario checks, as in
// docs/reference/catalogue.md ("A01"). A number that is not in that file fails a test.
func Catalogue(id string) Trait { return func(i *scenario.Info) { add(&i.Catalogue, id) } }

// Impossible lists a scenario that cannot run on any kernel, with the reason.
func Impossible(reason string) Trait { return func(i *scenario.Info) { i.Skipped = reason } }

// Runs sets the user's program that the scenario runs.
func Runs(p program.Program) Trait { return func(i *scenario.Info) { i.Program = &p } }

// Lead marks a scenario that illustrates a change best: reports prefer it as an example.
func Lead() Trait { return func(i *scenario.Info) { i.Lead = true } }

// OnTCG runs the scenario's guest under TCG even if the run uses another accelerator, for
// the given reason.
func OnTCG(reason string) Trait { return func(i *scenario.Info) { i.TCG = reason } }

// Exactly marks a scenario that raises a machine check exactly at an access (see
// Guest.Consume); it implies OnTCG.
func Exactly() Trait {
	return OnTCG("a machine check lands on the very access that consumes it under TCG only")
}

// IntelMachineCheck marks a scenario that raises a machine check of an Intel CPU without an
// access; it implies OnTCG, because under KVM the CPU is the host's.
func IntelMachineCheck() Trait {
	return OnTCG("it raises an Intel machine check, and under KVM the guest has the host's processor")
}

// specTimeout limits a scenario, including the start of its guest: many times what one
// takes under TCG, and longer than a template's boot.
const specTimeout = 6 * time.Minute

// Suite returns a function like ginkgo.Describe for the top level of a suite's package. It
// adds a container of specs to the suite of that name, which is constructed when that
// suite runs, so that one program can contain several suites.
//
//	var describe = Suite("dax")
//
//	var _ = describe("a DAX page", func() { … })
func Suite(name string) func(text string, body func()) bool {
	return func(text string, body func()) bool {
		suite.Add(name, text, body)
		return true
	}
}

// Scenario returns the decorators that make a Ginkgo spec a scenario. The id has two or
// more parts of lower-case letters, digits and hyphens, separated by slashes; Scenario
// panics on any other id. An id that is used twice is an error when the suite starts.
func Scenario(id string, traits ...Trait) []any {
	if err := scenario.CheckID(id); err != nil {
		panic(err.Error())
	}
	i := scenario.Info{ID: id}
	for _, t := range traits {
		t(&i)
	}
	suite.Register(i)
	return []any{ginkgo.Labels(scenario.LabelsOf(i)), ginkgo.NodeTimeout(suite.Patience(specTimeout))}
}
