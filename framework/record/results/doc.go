// Package results owns what a run leaves behind: a folder whose run.json is the
// record (schema faultline.run/2). It is written as the run goes, so that a killed
// run keeps every finished cell; folders of the same plan can be merged. It
// observes nothing and draws no report; what differs is found by package judge.
package results
