// Package mce_test is the suite of machine checks: what programs are told when
// the processor itself says that memory is bad.
package mce_test

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestMCE(t *testing.T) { suite.Run(t, "mce") }
