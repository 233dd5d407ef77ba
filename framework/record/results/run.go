package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/internal/errkind"
)

// Schema is the format of a Run. It changes when readers of the old format would misread
// the new one.
const Schema = "faultline.run/3"

// Run is the record of a run: the contents of run.json.
type Run struct {
	Schema  string    `json:"schema"` // always Schema
	ID      string    `json:"id"`     // see NewID
	Started time.Time `json:"started"`
	// Finished is zero during the run, and stays zero if it is killed.
	Finished time.Time `json:"finished,omitzero"`
	Tool     Tool      `json:"tool"`
	Host     Host      `json:"host"`
	// Accel is the requested accelerator: "auto", "kvm" or "tcg".
	Accel string `json:"accel"`
	// Command is the command line of the run, the program's name first.
	Command []string `json:"command"`
	// Origin is the KCIDB name of the submitter; empty if not given.
	Origin string `json:"origin,omitempty"`
	// Shard is the part of the plan that this run covers; absent for the whole plan.
	Shard Shard `json:"shard,omitzero"`
	// Changes are declared by the user, in addition to those that Faultline knows.
	Changes change.List `json:"changes,omitempty"`
	// Kernels are the columns, in the requested order.
	Kernels []Kernel `json:"kernels"`
	// Scenarios are the rows: the plan, including those that no kernel can run.
	Scenarios []Scenario     `json:"scenarios"`
	Cells     []observe.Cell `json:"cells"`
	// Differences, Repeats, Uncompared and Findings are the conclusions of package judge.
	Differences []conclusion.Difference `json:"differences"`
	Repeats     []conclusion.Difference `json:"repeats,omitempty"`
	// Uncompared are observations that cannot be compared with another kernel's; they are
	// not judged.
	Uncompared []conclusion.Uncompared `json:"uncompared,omitempty"`
	Findings   []conclusion.Finding    `json:"findings"`
	Summary    Summary                 `json:"summary"`
	// Interrupted reports that the run was stopped before every cell was finished.
	Interrupted bool `json:"interrupted,omitempty"`
	// Merged are the ids of the runs that this one was merged from.
	Merged []string `json:"merged,omitempty"`
	// Suites are the digests of the suites, and of the programs that ran in the
	// guests, by name: two builds may have the same version.
	Suites map[string]string `json:"suites,omitempty"`
	// Mark identifies the installation that wrote the record; see Installation.
	Mark string `json:"mark,omitempty"`
}

// Tool is the Faultline that ran.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
}

// Host is the machine that ran it.
type Host struct {
	OS          string `json:"os"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	QEMU        string `json:"qemu"` // QEMU's version
	// QEMUDigest covers QEMU's file, modules and firmware, CPUDigest the processor with its
	// microcode and features: the same name need not mean the same contents.
	QEMUDigest string `json:"qemu_digest,omitempty"`
	CPUDigest  string `json:"cpu_digest,omitempty"`
}

// Unlike describes how two hosts differ in what affects guests: QEMU, and with KVM the
// processor. It returns "" if they do not differ, or if one is not recorded.
func (h Host) Unlike(other Host, kvm bool) string {
	apart := func(a, b string) bool { return a != b && a != "" && b != "" }
	switch {
	case apart(h.QEMU, other.QEMU):
		return fmt.Sprintf("QEMU %s / %s", h.QEMU, other.QEMU)
	case apart(h.QEMUDigest, other.QEMUDigest):
		return fmt.Sprintf("QEMU %s, digest %.12s / %.12s", h.QEMU, h.QEMUDigest, other.QEMUDigest)
	case kvm && apart(h.CPU, other.CPU):
		return fmt.Sprintf("processor %s / %s", h.CPU, other.CPU)
	case kvm && apart(h.CPUDigest, other.CPUDigest):
		return fmt.Sprintf(
			"processor %s with other microcode or features, digest %.12s / %.12s",
			h.CPU,
			h.CPUDigest,
			other.CPUDigest,
		)
	}
	return ""
}

// WithKVM reports whether a kernel of the run ran with KVM.
func (r *Run) WithKVM() bool {
	return slices.ContainsFunc(r.Kernels, func(k Kernel) bool { return k.Accel == "kvm" })
}

// Kernel is a column of the run.
type Kernel struct {
	Name    string `json:"name"`              // the name in cells; unique in a run
	Spec    string `json:"spec"`              // where it comes from, for --kernel
	Release string `json:"release"`           // uname -r
	Version string `json:"version,omitempty"` // the upstream or stable version, "6.1.192"
	Arch    string `json:"arch"`              // as Go names it: "amd64"
	// Digest distinguishes kernels of the same name: it covers the kernel, its modules and
	// its config.
	Digest   string    `json:"digest"`
	Packages []Package `json:"packages,omitempty"`
	// Accel is the accelerator of its guests, "tcg" or "kvm", except for scenarios that
	// need TCG: each cell has its own.
	Accel string `json:"accel,omitempty"`
	// AccelWhy is why that is not KVM, if KVM was wanted.
	AccelWhy string `json:"accel_why,omitempty"`
	// BootMillis is the time from QEMU's start to the agent's first answer; 0 if it was
	// not booted.
	BootMillis float64 `json:"boot_ms,omitempty"`
	// Claims are the changes that it has or does not have according to the matrix (has:).
	Claims map[string]bool `json:"claims,omitempty"`
	// Changes is the state of each change according to its cells.
	Changes []conclusion.ChangeState `json:"changes,omitempty"`
	// DoesNotBoot reports that no guest boots with it and that the kernel itself is the
	// cause; its cells have the reason and the end of its console.
	DoesNotBoot bool `json:"does_not_boot,omitempty"`
	// Unavailable is why it could not be fetched: then release, version and digest are
	// empty, and each of its cells is an infrastructure failure with the reason.
	Unavailable string `json:"unavailable,omitempty"`
	// Splats and Taint are from its boot, before any scenario.
	Splats []string `json:"splats,omitempty"`
	Taint  string   `json:"taint,omitempty"`
	// Console and CommandFile are paths in the run's folder: the kernel's console, and the
	// QEMU command that booted it.
	Console     string `json:"console,omitempty"`
	CommandFile string `json:"command_file,omitempty"`
}

// Package is a package that a kernel was taken from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Scenario is a row of the run.
type Scenario struct {
	ID      string   `json:"id"`
	Doc     string   `json:"doc"` // what it does, in a sentence
	Suite   string   `json:"suite"`
	Needs   []string `json:"needs,omitempty"`
	Changes []string `json:"changes,omitempty"` // ids of the changes it depends on
	// Catalogue are its numbers in the catalogue of scenarios, such as "A01".
	Catalogue []string `json:"catalogue,omitempty"`
	// Skipped is why no kernel can run it; empty if it can be run.
	Skipped string `json:"skipped,omitempty"`
	// TCG is why its guests always run under TCG; empty if they run with any accelerator.
	TCG string `json:"tcg,omitempty"`
	// Program is the user's program that it runs; nil for a built-in scenario.
	Program *program.Program `json:"program,omitempty"`
	// Lead marks the scenario that the report prefers as its example if it differs.
	Lead bool `json:"lead,omitempty"`
}

// Summary contains the counts of a run.
type Summary struct {
	// Recorded cells by verdict. Each attempt counts.
	Expected   int `json:"expected"`
	Unexpected int `json:"unexpected"`
	Skipped    int `json:"skipped"`
	Infra      int `json:"infra"`
	// Explained, Unexplained and Lost count differences (fields) between kernels; those
	// caused by a lost change count only as Lost.
	Explained   int `json:"explained"`
	Unexplained int `json:"unexplained"`
	Lost        int `json:"lost,omitempty"`
	// Uncompared counts the cells that could not be compared with other kernels'.
	Uncompared int `json:"uncompared,omitempty"`
	// ExitCode is the exit code of faultline: see package errkind. A wrong request leaves
	// no run.
	ExitCode int `json:"exit_code"`
}

// NewID returns the id of a run that starts at t: sortable, and safe as a file name.
func NewID(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// Known returns the changes by which the run is judged.
func (r *Run) Known() change.List { return change.All().With(r.Changes) }

// Judge draws the conclusions of a run from its cells, as judge.Run does. This package draws
// none itself: a caller that reads a record, which may be of an earlier version, or merges
// several, passes the function that judges it.
type Judge func(*Run)

// Sort sorts the cells by scenario, then by column, then by attempt.
func (r *Run) Sort() {
	column := map[string]int{}
	for i, k := range r.Kernels {
		column[k.Name] = i
	}
	slices.SortStableFunc(r.Cells, func(a, b observe.Cell) int {
		return cmp.Or(
			cmp.Compare(a.Scenario, b.Scenario),
			cmp.Compare(column[a.Kernel], column[b.Kernel]),
			cmp.Compare(a.Attempt, b.Attempt),
		)
	})
}

// Summarize counts the cells and differences of a judged run, and returns the counts with
// the exit code that follows.
func (r *Run) Summarize() Summary {
	s := Summary{Uncompared: len(r.Uncompared)}
	for _, c := range r.Cells {
		switch c.Verdict {
		case observe.Expected:
			s.Expected++
		case observe.Unexpected:
			s.Unexpected++
		case observe.Skipped:
			s.Skipped++
		case observe.Infra:
			s.Infra++
		}
	}
	for _, d := range r.Differences {
		switch {
		case d.Lost:
			s.Lost++
		case d.ExplainedBy == "":
			s.Unexplained++
		default:
			s.Explained++
		}
	}
	switch {
	case r.Interrupted:
		s.ExitCode = errkind.ExitInterrupted
	case s.Unexpected > 0 || len(r.Findings) > 0:
		// An observed behaviour outweighs cells that were not observed.
		s.ExitCode = errkind.ExitUnexpected
	case s.Infra+s.Uncompared > 0:
		s.ExitCode = errkind.ExitInfra
	default:
		s.ExitCode = errkind.ExitExpected
	}
	return s
}

// MarshalJSON implements json.Marshaler. It sets the schema's name, and writes empty lists
// instead of null.
func (r Run) MarshalJSON() ([]byte, error) {
	type plain Run // without this method
	r.Schema = Schema
	r.Command = notNil(r.Command)
	r.Kernels = notNil(r.Kernels)
	r.Scenarios = notNil(r.Scenarios)
	r.Cells = notNil(r.Cells)
	r.Differences = notNil(r.Differences)
	r.Findings = notNil(r.Findings)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // left to the calling encoder
	if err := enc.Encode(plain(r)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Kernel returns the kernel of that name.
func (r *Run) Kernel(name string) (Kernel, bool) {
	i := slices.IndexFunc(r.Kernels, func(k Kernel) bool { return k.Name == name })
	if i < 0 {
		return Kernel{}, false
	}
	return r.Kernels[i], true
}
