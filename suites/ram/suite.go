// Package ram is the suite of poison in RAM, for comparison with DAX: anonymous
// memory, huge pages, swap, shared memory and files in memory.
package ram

import (
	. "github.com/onsi/ginkgo/v2"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/change"
)

var describe = Suite("ram")

// bad is the page that becomes bad, and at is the offset in it that is accessed.
const bad = 4

func at() int64 { return Page(bad) + 5 }

// scenario adds the prefix of the id and the common traits.
func scenario(id, catalogue string, traits ...Trait) []any {
	return Scenario("ram/"+id, append(traits, Catalogue(catalogue), Needs("MEMORY_FAILURE"))...)
}

// poisons is scenario for a victim that injects the poison itself.
func poisons(id, catalogue string, traits ...Trait) []any {
	return scenario(id, catalogue, append(traits, Changes(change.MadviseActionRequired))...)
}

// remembered expects the outcome of an access to the entry that poison left in a page
// table: SIGBUS for the exact byte, on every kernel.
func remembered() *Expectation { return BeOutcome(SIGBUS(BUS_MCEERR_AR, PageLSB())) }

// hwpoison makes the victim poison a page of a mapping with madvise(2).
func hwpoison(ctx SpecContext, v *Victim, m *Mapping) *Observation {
	return v.Madvise(ctx, m.At(Page(bad)), PageBytes(), MADV_HWPOISON)
}

// silentBefore expects the outcome of the madvise(2) call by which a victim poisons its
// own memory: no signal, until the call became an action-required error.
func silentBefore(m *Mapping) *Expectation {
	return DependOn(change.MadviseActionRequired,
		Before(Returns(0)),
		After(SIGBUS(BUS_MCEERR_AR, PageLSB(), At(m.At(Page(bad))), Returning(0))),
	)
}
