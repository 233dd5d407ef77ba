// Package explain words what a change, a scenario or a recorded cell is, why it
// matters, and what was seen of it on which kernel. It says what a change's file,
// the catalogue, the suites and a run's record say, and concludes nothing of its
// own. What a guest said is made fit to be printed.
package explain
