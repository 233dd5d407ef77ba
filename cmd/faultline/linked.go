//go:build !hostile

package main

import _ "github.com/faultline/faultline/suites"
