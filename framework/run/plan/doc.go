// Package plan is which cells are to be observed: kernels × scenarios × attempts,
// selected, cut into a shard's part, and into tasks. It is data; it starts nothing.
package plan
