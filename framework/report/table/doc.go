// Package table draws a run for a terminal: a line a scenario, a column a kernel.
// It draws what is recorded and concludes nothing. What a guest said is hostile
// text: shown, and never interpreted by a terminal.
package table
