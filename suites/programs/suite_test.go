// Package programs_test is the suite of programs that a user brings: each is a
// scenario, and each of its tests a step (faultline run --program).
package programs_test

import (
	"testing"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/run/suite"
)

func TestPrograms(t *testing.T) { suite.Run(t, program.Suite) }
