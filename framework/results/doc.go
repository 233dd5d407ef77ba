// Package results owns what a run leaves behind: the Run record and its JSON
// schema (faultline.run/2), and the folder it lies in, which is written as the
// run goes so that a killed run keeps every finished cell. Folders of the same
// plan can be merged. It observes nothing and draws no report; what differs is
// found by package compare.
package results
