// Package results reads and writes the results folder of a run, whose run.json is the
// record (schema faultline.run/3). Cells are written as they finish, so that a killed run
// keeps them; folders of the same plan can be merged. It observes nothing, compares
// nothing (package judge does) and writes no reports.
package results
