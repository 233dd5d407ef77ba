// Package run carries out a run: it selects scenarios, prepares kernels, splits
// the plan into tasks, starts the compiled suites as processes, collects their
// cells as they arrive, and judges them. It observes nothing itself: scenarios run
// only in a suite's process, under Ginkgo.
package run
