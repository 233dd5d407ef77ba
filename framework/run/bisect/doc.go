// Package bisect finds the commit after which user space sees something else: git
// bisect in refs of its own, with a verdict that comes from observing kernels that
// are built from the commits. It tells old from new by what the two ends showed,
// and by nothing else.
package bisect
