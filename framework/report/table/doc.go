// Package table draws a run for a terminal: one line for each scenario, one column for
// each kernel. It draws what is recorded and draws no conclusions. A guest's text is
// hostile: it is shown, and never interpreted by the terminal.
package table
