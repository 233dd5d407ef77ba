// Package compare tells observations apart: which fields of two cells differ,
// which known change explains a difference, whether a kernel observed twice
// says the same twice, and what of all that a person must look at (findings).
// It works on recorded cells alone. It never boots, runs or judges a kernel by
// its version, and it compares no cell that the rig failed to observe.
package compare
