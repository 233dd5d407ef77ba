package syscalls

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestSyscalls(t *testing.T) { suite.Run(t, "syscalls") }
