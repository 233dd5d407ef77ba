package ram

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestRAM(t *testing.T) { suite.Run(t, "ram") }
