// Package report lists the formats in which a run's record is written. Each format is
// a package below this one; package matrix has what several formats share. A format
// concludes nothing: differences, findings and exit codes are in the record.
package report
