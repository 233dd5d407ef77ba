// Package programs is the suite of the user's programs (faultline run --program): each
// program is a scenario, and each of its tests is a step.
package programs

import (
	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/record/program"
)

var describe = Suite(program.Suite)
