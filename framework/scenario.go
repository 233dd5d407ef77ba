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

// Trait is a fact about a scenario, for Scenario.
type Trait func(*scenario.Info)

// add adds values that are not there yet.
func add(list *[]string, values ...string) {
	for _, v := range values {
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
}

// Needs says which configuration symbols a kernel must have for the scenario,
// and no others; where one lacks, the scenario is not doable there, and says so.
// What every guest needs is not said again: see package guest/config.
func Needs(symbols ...string) Trait {
	return func(i *scenario.Info) { add(&i.Needs, symbols...) }
}

// Changes says that an expectation of the scenario hangs on a change, or tells of
// a part of it.
func Changes(changes ...change.Change) Trait {
	return func(i *scenario.Info) {
		for _, c := range changes {
			add(&i.Changes, c.ID)
		}
	}
}

// Catalogue is the scenario's number in docs/reference/catalogue.md, "A01".
func Catalogue(id string) Trait { return func(i *scenario.Info) { add(&i.Catalogue, id) } }

// Impossible keeps a scenario in the list that cannot be run, with the reason.
func Impossible(reason string) Trait { return func(i *scenario.Info) { i.NotDoable = reason } }

// Runs says which program of a user's the scenario runs.
func Runs(p program.Program) Trait { return func(i *scenario.Info) { i.Program = &p } }

// Lead marks a scenario that tells the story best: a report takes its example
// from it.
func Lead() Trait { return func(i *scenario.Info) { i.Lead = true } }

// OnTCG gives the scenario a guest under TCG, whatever the run uses, for a reason.
func OnTCG(reason string) Trait { return func(i *scenario.Info) { i.TCG = reason } }

// Exactly says that a machine check lands on the very access: see Consume.
func Exactly() Trait {
	return OnTCG("a machine check lands on the very access that consumes it under TCG only")
}

// IntelMachineCheck says that the scenario's machine check is one of an Intel
// processor, raised without an access. Under KVM the processor is the host's.
func IntelMachineCheck() Trait {
	return OnTCG("its machine check is an Intel processor's, and under KVM the processor is the host's")
}

// specTimeout bounds a scenario, its guest's start included: many times what
// one takes under TCG, and longer than a template's boot.
const specTimeout = 6 * time.Minute

// Suite returns what takes the place of ginkgo.Describe at the top level of a suite's
// package: it adds a container of specs to the suite of that name, which is
// constructed when that suite runs, so that one program can hold several suites.
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

// Scenario makes a spec a scenario of that id (lower case, parts divided by
// slashes). A second spec with the same id is refused when the suite starts.
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
