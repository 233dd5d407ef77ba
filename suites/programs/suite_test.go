package programs

import (
	"testing"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/run/suite"
)

func TestPrograms(t *testing.T) { suite.Run(t, program.Suite) }
