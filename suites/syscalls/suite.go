// Package syscalls is the suite of system calls that meet a bad block:
// whatever a page fault says, read(2) says EIO.
package syscalls

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("syscalls")
