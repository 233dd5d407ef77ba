// Package twice_test is a suite with a duplicate scenario id; a test runs it.
package twice_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/run/suite"
)

var describe = Suite("twice")

var _ = describe("a suite", func() {
	It("has this scenario", Scenario("two/same"), func(SpecContext) {})
	It("has another", Scenario("two/other"), func(SpecContext) {})
	It("has the first one's id again", Scenario("two/same"), func(SpecContext) {})
})

func TestTwice(t *testing.T) { suite.Run(t, "twice") }
