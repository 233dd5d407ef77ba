// Package table draws a run for a terminal: one line for each scenario, one column for
// each kernel. It writes what is recorded and concludes nothing. A guest's text is
// hostile: it is shown, and never interpreted by the terminal.
package table
