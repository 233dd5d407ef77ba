package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/faultline/faultline/framework/report"
	"github.com/faultline/faultline/framework/run/shard"
	"github.com/faultline/faultline/internal/complete"
	"github.com/faultline/faultline/kernels/source"
)

// description is the help text of the command itself. Its first line is the NAME section
// of the manual page.
const description = `Boot Linux kernels in QEMU, inject memory errors, and compare what user space observes.

Get started:
  faultline doctor    check what this machine needs
  faultline run       compare two kernels

Terms:
  scenario   a test that injects a memory error and records what user
             space observes
  generated program
             a scenario that faultline explore composes of operations
  cell       the result of a scenario on a kernel, written SCENARIO@KERNEL
  change     a kernel commit that is known to change the result of scenarios
  finding    something to examine: an unexpected result, a difference that no
             change explains, a change that a kernel should have and does not,
             a kernel warning
  witness    what else a cell records: the kernel log, counters, bad blocks
  matrix     a list of kernels to run on, in a file or built in
  baseline   saved results that later runs are compared with
  shard      some of the cells of a run, for one of several machines

Pages named docs/... are in the source tree, or in share/doc/faultline of the
installation (below /usr or /usr/local).`

// helpVars returns the variables of help texts: lists from packages, and the texts of
// flags that several subcommands have.
func helpVars() kong.Vars {
	return kong.Vars{
		"engines":  strings.Join(shard.Names(), ","),
		"shells":   strings.Join(complete.Shells(), ","),
		"scenario": "Select scenarios by id; * matches any text (repeatable).",
		"label":    "Select by Ginkgo label filter (keys: id, change, catalogue, needs, tcg).",
		"accel":    "Use KVM or TCG (auto: KVM if usable on this machine).",
		"jobs":     "Run N guests in parallel (default: as many as CPUs and memory allow).",
		"out":      "Write the results to DIR (default: results/TIME).",
		"anyaccel": "Also compare results of KVM with results of TCG.",
		"tree":     "Linux git checkout (only read).",
	}
}

// specsHelp refers to kernelSpecs.
const specsHelp = "For the forms of kernel specs, see faultline list kernels --help.\n"

// kernelSpecs lists the forms of kernel specs, two lines per source.
func kernelSpecs() string {
	text := "Forms of kernel specs:\n"
	for _, s := range source.All() {
		text += "  " + strings.Join(s.Usage, ", ") + "\n      " + s.About + "\n"
	}
	return text + "Parameters follow a question mark, as in 'tree:../linux@v6.12?cc=gcc-12&patch=fix.mbox'\n" +
		"(docs/guides/trees.md). Quote a spec that contains ? or &.\n" +
		"A URL can end with #sha256=HEX, the digest of its file (or sha384, sha512).\n"
}

// formats lists the report formats.
func formats() string {
	return "Formats: " + strings.Join(report.Names(), ", ") + ". Give - as FILE to write to\nstandard output.\n"
}

// runExits are the exit codes of the subcommands that judge a run.
const runExits = `Exit codes:
  0    all results are as expected
  1    unexpected results, or findings
  2    invalid request, or a required program is not installed
  3    infrastructure failure, or results that could not be compared
  130  interrupted
If several apply, it is 130, then 1, then 3.
`

// exitStatus lists the exit codes (package errkind) for the manual page.
const exitStatus = `  0     all results are as expected
  1     unexpected results, or findings
  2     invalid request, or a required program is not installed
  3     infrastructure failure, or results that could not be compared
  130   interrupted

exec and shell exit with the status of the program in the guest, bisect-step with the codes of
git bisect run.`
