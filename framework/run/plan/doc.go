// Package plan determines which cells are to be observed: kernels × scenarios ×
// attempts, selected, reduced to a shard's part, and split into tasks. It starts nothing.
package plan
