// Package dax is the suite of DAX faults: what a program observes when it accesses
// a page that the kernel cannot provide.
package dax

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("dax")
