package framework

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/faultline/faultline/framework/change"
)

// What a scenario is travels in the labels of its spec, so that Ginkgo's own
// filters and reports know it too. A label is a key and a value; slashes are
// not allowed in it, so an id has dots there.
const (
	labelID        = "id"
	labelNeeds     = "needs"
	labelChange    = "change"
	labelCatalogue = "catalogue"
	labelNotDoable = "not-doable"
	labelLead      = "lead"
	labelTCG       = "tcg"
)

// Trait is a fact about a scenario, for Scenario.
type Trait struct {
	key    string
	values []string
}

// Needs says which configuration symbols a kernel must have for the scenario,
// and no others; where one lacks, the scenario is not doable there, and says so.
// What every guest needs is not said again: see vm.Lacks.
func Needs(symbols ...string) Trait { return Trait{labelNeeds, symbols} }

// Follows says that an expectation of the scenario hangs on a change, or tells of
// a part of it.
func Follows(changes ...change.Change) Trait {
	t := Trait{key: labelChange}
	for _, c := range changes {
		t.values = append(t.values, c.ID)
	}
	return t
}

// Catalogue is the scenario's number in the catalogue, "A01".
func Catalogue(id string) Trait { return Trait{labelCatalogue, []string{id}} }

// NotDoable keeps a scenario in the list that cannot be run, with the reason.
func NotDoable(reason string) Trait { return Trait{labelNotDoable, []string{reason}} }

// Lead marks a scenario that tells the story best: a report takes its example
// from it.
func Lead() Trait { return Trait{labelLead, []string{"true"}} }

// OnTCG gives the scenario a guest under TCG, whatever the run uses, for a reason.
func OnTCG(reason string) Trait { return Trait{labelTCG, []string{reason}} }

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
// one takes under TCG.
const specTimeout = 3 * time.Minute

var idForm = regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+)+$`)

// Scenario makes a spec a scenario of that id (lower case, parts divided by
// slashes). A second spec with the same id is refused when the suite starts.
func Scenario(id string, traits ...Trait) []any {
	if !idForm.MatchString(id) {
		panic(fmt.Sprintf("scenario id %q: want lower case words divided by slashes", id))
	}
	labels := ginkgo.Labels{label(labelID, strings.ReplaceAll(id, "/", "."))}
	for _, t := range traits {
		for _, v := range t.values {
			if l := label(t.key, v); !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	return []any{labels, ginkgo.NodeTimeout(specTimeout)}
}

// label makes a value fit for a Ginkgo label.
func label(key, value string) string {
	return key + ":" + strings.NewReplacer("/", ".", ",", ";", "(", "[", ")", "]", "&", "+", "|", ";", "!", ".", ":", ";").Replace(value)
}

// Info is what a scenario's labels say, for lists and reports.
type Info struct {
	ID        string   `json:"id"`
	Doc       string   `json:"doc"`   // what the scenario shows, as a sentence
	Suite     string   `json:"suite"` // the suite's name
	Needs     []string `json:"needs,omitempty"`
	Changes   []string `json:"changes,omitempty"`
	Catalogue []string `json:"catalogue,omitempty"`
	NotDoable string   `json:"not_doable,omitempty"`
	Lead      bool     `json:"lead,omitempty"`
	TCG       string   `json:"tcg,omitempty"` // why its guest runs under TCG whatever the run uses
	Labels    []string `json:"labels"`        // as Ginkgo's filters see them
}

// describe reads a spec's report; ok is false for one that is no scenario.
func describe(suite string, r ginkgo.SpecReport) (info Info, ok bool) {
	info.Suite = suite
	for _, l := range r.Labels() {
		key, value, _ := strings.Cut(l, ":")
		switch key {
		case labelID:
			info.ID = strings.ReplaceAll(value, ".", "/")
		case labelNeeds:
			info.Needs = append(info.Needs, value)
		case labelChange:
			info.Changes = append(info.Changes, value)
		case labelCatalogue:
			info.Catalogue = append(info.Catalogue, value)
		case labelNotDoable:
			info.NotDoable = value
		case labelLead:
			info.Lead = true
		case labelTCG:
			info.TCG = value
		}
	}
	info.Doc, info.Labels = r.FullText(), r.Labels()
	return info, info.ID != ""
}

// Filter is a Ginkgo label filter that takes exactly these scenarios.
func Filter(ids []string) string {
	dotted := make([]string, len(ids))
	for i, id := range ids {
		dotted[i] = strings.ReplaceAll(id, "/", ".")
	}
	return labelID + ": containsAny {" + strings.Join(dotted, ", ") + "}"
}
