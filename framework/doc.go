// Package framework is what suites stand on. A scenario is a Ginkgo spec that
// asks for a guest, sets it up with primitives (file, map, inject, load, system
// call), and says what it expects; every primitive records what it saw. The
// package gives each scenario a guest of its own, tells trouble with the rig
// from behaviour, and hands each finished cell on. It never compares kernels.
package framework
