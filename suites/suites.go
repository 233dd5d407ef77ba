// Package suites links every suite of scenarios into the program that imports it.
package suites

import (
	_ "github.com/faultline/faultline/suites/dax"
	_ "github.com/faultline/faultline/suites/delivery"
	_ "github.com/faultline/faultline/suites/generated"
	_ "github.com/faultline/faultline/suites/mce"
	_ "github.com/faultline/faultline/suites/programs"
	_ "github.com/faultline/faultline/suites/ram"
	_ "github.com/faultline/faultline/suites/syscalls"
)
