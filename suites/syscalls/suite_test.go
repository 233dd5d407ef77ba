// Package syscalls_test is the suite of system calls that meet a bad block:
// whatever a page fault says, read(2) says EIO.
package syscalls_test

import (
	"testing"

	"github.com/faultline/faultline/framework/run/suite"
)

func TestSyscalls(t *testing.T) { suite.Run(t, "syscalls") }
