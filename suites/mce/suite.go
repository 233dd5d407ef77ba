// Package mce is the suite of machine checks: what programs are told when
// the processor itself says that memory is bad.
package mce

import (
	. "github.com/faultline/faultline/framework"
)

var describe = Suite("mce")
