// Package dax is the suite of DAX faults: what a program is told when the
// page that it touches cannot be provided.
package dax

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("dax")
