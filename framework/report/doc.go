// Package report turns a run's record into what a person reads: a text table
// for a terminal and one self-contained HTML page. It draws what is recorded
// and concludes nothing of its own: differences, findings and exit codes come
// from package results. Everything that a guest said is treated as hostile
// text, which is shown and never interpreted, by a browser or by a terminal.
package report
