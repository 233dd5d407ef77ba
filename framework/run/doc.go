// Package run carries out a run: it selects scenarios, prepares kernels, splits
// the plan into tasks, starts this program again as the process of a suite, collects
// the cells as they arrive, and has them judged. Executor is the part from kernels to
// cells: packages backport, bisect and repro use it, too. Packages plan, suite, cellcache
// and shard are used by a run. It observes nothing itself: scenarios run only in a
// suite's process, under Ginkgo.
package run
