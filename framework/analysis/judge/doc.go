// Package judge draws conclusions from recorded cells: which changes each
// kernel has, where cells differ and what explains it, and what a person must
// look at. It works on data alone: no guests, no kernels, no expectations but
// those that were recorded. The same cells always give the same judgement.
package judge
