// Package judge draws conclusions from recorded cells: which changes each kernel
// has, where cells differ and what explains it, and which findings follow. It needs
// no guest, no kernel and no expectation other than the recorded ones. The same
// cells always give the same judgement.
package judge
