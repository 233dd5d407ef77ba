// Package explain prints what is known of a change, a scenario or a recorded cell: from
// the change's definition, the catalogue, the suites and a run's record. It draws no
// conclusions. A guest's text is sanitized before it is printed.
package explain
