// Package ram is the suite of poison in RAM: anonymous memory, huge pages,
// swap, memory that is shared and files in memory, which DAX is compared with.
package ram

import (
	. "github.com/onsi/ginkgo/v2"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

var describe = Suite("ram")

// bad is the page that goes bad, and at is the byte of it that is accessed.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// scenario gives a scenario its id and its traits.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario("ram/"+id, append(traits, Catalogue(catalogue), Needs("MEMORY_FAILURE"))...)
}

// poisons is scenario for one whose victim makes the poison itself.
func poisons(id, catalogue string, traits ...Trait) []any {
	return scenario(id, catalogue, append(traits, Changes(change.MadviseActionRequired))...)
}

// remembered is what an access is told that meets what poison left in a page
// table: the very byte, on every kernel.
func remembered() *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// hwpoison has the victim poison a page of a mapping by madvise(2).
func hwpoison(ctx SpecContext, v *Victim, m *Mapping) *Observation {
	return v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
}

// silentBefore is what who poisons its own memory is told at once: nothing, before
// madvise(2) called that an action required.
func silentBefore(m *Mapping) *Expectation {
	return DependOn(change.MadviseActionRequired, Before(Returns(0)), After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))))
}
