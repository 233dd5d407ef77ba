package kernels

import _ "embed"

//go:embed minimal.config
var minimalConfig string

// MinimalConfig is kernels/minimal.config: what a kernel's build needs to set,
// on top of tinyconfig, for the guest and for every scenario.
func MinimalConfig() string { return minimalConfig }
