package dax

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestDAX(t *testing.T) { suite.Run(t, "dax") }
