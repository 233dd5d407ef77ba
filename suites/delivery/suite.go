// Package delivery is the suite of how the news of poison is delivered: to who
// blocks or ignores it, who waits for it, who traces, and what a core file keeps.
package delivery

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("delivery")
