// Package suite is the process of a suite: its flags, its kernel, the guests that it
// clones, the record of the current scenario, the events for its parent. It contains no
// primitives and asserts nothing; package framework carries out the steps of scenarios.
package suite
