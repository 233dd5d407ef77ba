// Package matrix arranges a run's record as people read it: scenarios × kernels,
// and what there is to say of them in words. It concludes nothing of its own, and
// writes no format.
package matrix
