//go:build hostile

package main

// Scenarios whose guests misbehave, for a test, and no others.
import _ "github.com/faultline/faultline/cmd/faultline/testdata/hostile"
