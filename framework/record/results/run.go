package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/internal/errkind"
)

// Schema is the format of a Run, and changes when a reader of the old one
// would misread the new one.
const Schema = "faultline.run/2"

// Run is everything that a run found: what run.json holds.
type Run struct {
	Schema  string    `json:"schema"` // always Schema
	ID      string    `json:"id"`     // see NewID
	Started time.Time `json:"started"`
	// Finished is zero while the run goes on, and stays so when it is killed.
	Finished time.Time `json:"finished,omitzero"`
	Tool     Tool      `json:"tool"`
	Host     Host      `json:"host"`
	// Accel is the accelerator that was asked for: "auto", "kvm" or "tcg".
	Accel string `json:"accel"`
	// Command repeats the run: the arguments, the program's name first.
	Command []string `json:"command"`
	// Origin is the name by which KCIDB knows who ran it; empty where nobody said.
	Origin string `json:"origin,omitempty"`
	// Shard is the part of the plan that this run is; absent for all of it.
	Shard Shard `json:"shard,omitzero"`
	// Changes are those that its user declared, beside those that Faultline knows.
	Changes change.List `json:"changes,omitempty"`
	// Kernels are the columns, in the order they were asked for.
	Kernels []Kernel `json:"kernels"`
	// Scenarios are the rows: the plan, also those that no kernel can do.
	Scenarios []Scenario     `json:"scenarios"`
	Cells     []observe.Cell `json:"cells"`
	// Differences, Repeats, Uncompared and Findings are what Judge concludes.
	Differences []judge.Difference `json:"differences"`
	Repeats     []judge.Difference `json:"repeats,omitempty"`
	// Uncompared are observations that no kernel's can be compared with: they are not judged.
	Uncompared []judge.Uncompared `json:"uncompared,omitempty"`
	Findings   []judge.Finding    `json:"findings"`
	Summary    Summary            `json:"summary"`
	// Interrupted says that the run was stopped before every cell was done.
	Interrupted bool `json:"interrupted,omitempty"`
	// Merged are the ids of the runs that this one was joined from.
	Merged []string `json:"merged,omitempty"`
	// Suites are the digests of the compiled suites that observed, and of the programs that
	// ran in the guests, by name: two builds may have the same version.
	Suites map[string]string `json:"suites,omitempty"`
	// Mark is of the installation that wrote the record; see Installation.
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
	// QEMUDigest is of QEMU's file, modules and firmware, CPUDigest of the processor with
	// its microcode and features: two of one name need not be the same.
	QEMUDigest string `json:"qemu_digest,omitempty"`
	CPUDigest  string `json:"cpu_digest,omitempty"`
}

// Unlike names what decides what guests show, and is not the same on two hosts: QEMU,
// and with KVM the processor. It is empty where nothing is, or where one is not recorded.
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
		return fmt.Sprintf("processor %s with other microcode or features, digest %.12s / %.12s", h.CPU, h.CPUDigest, other.CPUDigest)
	}
	return ""
}

// WithKVM reports whether a kernel of the run ran with KVM.
func (r *Run) WithKVM() bool {
	return slices.ContainsFunc(r.Kernels, func(k Kernel) bool { return k.Accel == "kvm" })
}

// Kernel is a column of the run.
type Kernel struct {
	Name    string `json:"name"`              // what cells call it; unique in a run
	Spec    string `json:"spec"`              // where it comes from, for --kernel
	Release string `json:"release"`           // uname -r
	Version string `json:"version,omitempty"` // the upstream or stable version, "6.1.192"
	Arch    string `json:"arch"`              // as Go names it: "amd64"
	// Digest tells two kernels apart that go by the same name: it covers the
	// kernel, its modules and its config.
	Digest   string    `json:"digest"`
	Packages []Package `json:"packages,omitempty"`
	// Accel is the accelerator its guests used, "tcg" or "kvm", but for scenarios
	// that need TCG: each cell says its own.
	Accel string `json:"accel,omitempty"`
	// AccelWhy is why that is not KVM, where KVM was wanted.
	AccelWhy string `json:"accel_why,omitempty"`
	// BootMillis is the time from QEMU's start to the agent's first answer; 0
	// when it was not booted.
	BootMillis float64 `json:"boot_ms,omitempty"`
	// Claims are the changes that the matrix says it has, or lacks (has:).
	Claims map[string]bool `json:"claims,omitempty"`
	// Changes are what its cells say of each change.
	Changes []judge.ChangeState `json:"changes,omitempty"`
	// DoesNotBoot says that no guest came up with it, and that it was its own doing;
	// its cells have the reason and the end of its console.
	DoesNotBoot bool `json:"does_not_boot,omitempty"`
	// Unavailable says why it could not be fetched: then release, version and digest
	// are empty, and each of its cells is an infrastructure failure with the reason.
	Unavailable string `json:"unavailable,omitempty"`
	// Splats and Taint are from its boot, before any scenario.
	Splats []string `json:"splats,omitempty"`
	Taint  string   `json:"taint,omitempty"`
	// Console and CommandFile are paths in the run's folder: what the kernel
	// printed, and the QEMU command that booted it.
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
	Changes []string `json:"changes,omitempty"` // ids of the changes its expectations hang on
	// Catalogue are its numbers in the catalogue of scenarios, "A01".
	Catalogue []string `json:"catalogue,omitempty"`
	// NotDoable says why nothing here can run it; empty for one that can be run.
	NotDoable string `json:"not_doable,omitempty"`
	// TCG says why its guests run under TCG, whatever the run uses; empty for one
	// that runs with anything.
	TCG string `json:"tcg,omitempty"`
	// Program is the program of a user's that it runs; nil for a scenario of Faultline's.
	Program *program.Program `json:"program,omitempty"`
	// Lead marks a scenario that tells the story best: where it differs, the
	// report takes its example from it.
	Lead bool `json:"lead,omitempty"`
}

// Summary counts.
type Summary struct {
	// Cells that were recorded, by verdict. Attempts count one by one.
	Expected   int `json:"expected"`
	Unexpected int `json:"unexpected"`
	NotDoable  int `json:"not_doable"`
	Rig        int `json:"rig"`
	// Explained, Unexplained and Lost count differences (fields) between kernels;
	// those that a lost change makes are not explained by it.
	Explained   int `json:"explained"`
	Unexplained int `json:"unexplained"`
	Lost        int `json:"lost,omitempty"`
	// Uncompared counts the cells that could not be compared with other kernels'.
	Uncompared int `json:"uncompared,omitempty"`
	// ExitCode is what faultline exits with: see package fault. A request that is
	// wrong leaves no run behind.
	ExitCode int `json:"exit_code"`
}

// NewID is the id of a run that starts at t: sortable, and fit for a file name.
func NewID(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// Known are the changes by which the run is judged.
func (r *Run) Known() change.List { return change.All().With(r.Changes) }

// Judge draws the conclusions from r's cells and declared changes, and from
// nothing else: the state of each change, the differences between its kernels and
// between attempts, the findings and the summary; and it puts into the cells what
// the changes declare of them. It may be called again after cells were added, and
// on a run of long ago.
func (r *Run) Judge() {
	var kernels []judge.Kernel
	for _, k := range r.Kernels {
		kernels = append(kernels, judge.NewKernel(k.Name, k.Version, k.Release, k.Claims))
	}
	r.Cells = judge.Declare(r.Cells, r.Known())
	j := judge.Judge(r.Cells, kernels, r.Known())
	for i, k := range r.Kernels {
		r.Kernels[i].Changes = j.States[k.Name]
	}
	r.Differences, r.Repeats, r.Uncompared, r.Findings = j.Differences, j.Repeats, j.Uncompared, j.Findings
	r.Summary = r.summarize()
}

// Sort puts the cells into the order of a record, whoever gathered them: by
// scenario, then as the columns stand, then by attempt.
func (r *Run) Sort() {
	column := map[string]int{}
	for i, k := range r.Kernels {
		column[k.Name] = i
	}
	slices.SortStableFunc(r.Cells, func(a, b observe.Cell) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), cmp.Compare(column[a.Kernel], column[b.Kernel]), cmp.Compare(a.Attempt, b.Attempt))
	})
}

func (r *Run) summarize() Summary {
	s := Summary{Uncompared: len(r.Uncompared)}
	for _, c := range r.Cells {
		switch c.Verdict {
		case observe.Expected:
			s.Expected++
		case observe.Unexpected:
			s.Unexpected++
		case observe.Skipped:
			s.NotDoable++
		case observe.Infra:
			s.Rig++
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
		// A behaviour that was seen outweighs cells that were not.
		s.ExitCode = errkind.ExitUnexpected
	case s.Rig+s.Uncompared > 0:
		s.ExitCode = errkind.ExitInfra
	default:
		s.ExitCode = errkind.ExitExpected
	}
	return s
}

// MarshalJSON writes the run as the schema wants it: with its schema's name,
// and with empty lists where there is nothing, so that no reader has to tell
// null from empty.
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
	enc.SetEscapeHTML(false) // the encoder that called decides on that
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

// Kernel finds a kernel of the run by name.
func (r *Run) Kernel(name string) (Kernel, bool) {
	i := slices.IndexFunc(r.Kernels, func(k Kernel) bool { return k.Name == name })
	if i < 0 {
		return Kernel{}, false
	}
	return r.Kernels[i], true
}
