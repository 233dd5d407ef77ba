// Package report lists the formats that a run's record is written in. A format is
// a package of its own below; what several share is in package matrix. A format
// draws what is recorded and concludes nothing: differences, findings and exit
// codes are in the record.
package report
