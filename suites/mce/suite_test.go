package mce

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestMCE(t *testing.T) { suite.Run(t, "mce") }
