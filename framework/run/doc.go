// Package run carries out a run: it selects scenarios, prepares kernels, cuts
// the plan into tasks, drives the compiled suites as processes, gathers their
// cells as they come, and has them judged. It observes nothing itself, and a
// way to run without Ginkgo does not exist.
package run
