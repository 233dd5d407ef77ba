// Package matrix arranges a run's record for the reports: scenarios × kernels, checks,
// and the texts that several formats share. It concludes nothing and writes no
// format.
package matrix
