// Package delivery is the suite of how SIGBUS for poison is delivered: to processes
// that block, ignore or await it, to tracers, and to core files.
package delivery

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("delivery")
