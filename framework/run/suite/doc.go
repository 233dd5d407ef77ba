// Package suite is the process of a suite: its flags, its kernel, the guests
// that it clones, the record of the scenario under way, the events for its parent.
// It knows no primitives and asserts nothing; what a scenario does is package
// framework's.
package suite
