// Package mce is the suite of machine checks: what programs observe when the
// processor itself reports bad memory.
package mce

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("mce")
