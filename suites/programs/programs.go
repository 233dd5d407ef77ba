package programs

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/run/suite"
)

var _ = describe("a program", func() {
	for _, p := range suite.Programs() {
		It("passes its tests: "+p.Command(), Scenario(p.ID(), Runs(p)), func(ctx SpecContext) {
			ran := StartGuest(ctx).RunProgram(ctx, p)
			for _, t := range ran.Tests {
				Expect(t).To(BeOutcome(Note("ok")))
			}
			if ran.Planned != nil {
				Expect(ran.Planned).To(BeOutcome(Note("all that it announced")))
			}
			Expect(ran.Ended).To(BeOutcome(OK()))
		})
	}
})
