// Package syscalls is the suite of system calls that hit a bad block. read(2) fails
// with EIO on every kernel, although the signals for page faults differ.
package syscalls

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("syscalls")
