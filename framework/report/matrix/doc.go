// Package matrix arranges a run's record for the reports: scenarios × kernels, checks,
// and the texts that several formats share. It draws no conclusions and writes no
// format.
package matrix
