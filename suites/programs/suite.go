// Package programs is the suite of programs that a user brings: each is a
// scenario, and each of its tests a step (faultline run --program).
package programs

import (
	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/record/program"
)

var describe = Suite(program.Suite)
