// Package dax_test is the suite of DAX faults: what a program is told when the
// page that it touches cannot be provided.
package dax_test

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestDAX(t *testing.T) { suite.Run(t, "dax") }
