// Package conclusion holds what was concluded from the cells of a run, as its record
// has it: the state of each change, differences and findings. Package judge draws the
// conclusions.
package conclusion
