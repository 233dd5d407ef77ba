package bisect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
)

// Schema is the format of a Record.
const Schema = "faultline.bisect/1"

// File is the record's name in the folder. The folder also contains the observations as
// a run, whose kernels are the commits.
const File = results.BisectFile

// Record is the record of a bisection, written after each step.
type Record struct {
	Schema   string       `json:"schema"`
	Tool     results.Tool `json:"tool"`
	Command  []string     `json:"command"`
	Started  time.Time    `json:"started"`
	Finished time.Time    `json:"finished,omitzero"`
	// Request is the request: the same request resumes the bisection.
	Request Request `json:"request"`
	// Differ are the scenarios in which the ends differ, which are bisected. Aside are
	// selected scenarios that are not bisected, with the reason. Same counts those that
	// are the same at both ends.
	Differ []Differing `json:"differ,omitempty"`
	Aside  []Aside     `json:"aside,omitempty"`
	Same   int         `json:"same"`
	// Steps are the tried commits in order, the two ends first.
	Steps []Step `json:"steps"`
	// Answers are the results; scenarios with the same answer share one.
	Answers []Answer `json:"answers,omitempty"`
}

// Request is what determines the course of a bisection.
type Request struct {
	Tree string `json:"tree,omitempty"` // the checkout's top folder
	// Kernels are the bisected kernels, the oldest first, if there is no tree.
	Kernels  []Build  `json:"kernels,omitempty"`
	Old      End      `json:"old"`
	New      End      `json:"new"`
	Settings []string `json:"settings,omitempty"` // of the spec: "config=FILE", "cc=gcc-11"
	// Scenarios are the selected ids.
	Scenarios []string `json:"scenarios"`
	Accel     string   `json:"accel"`
	// Inputs are the other inputs that determine the results of a commit, by name:
	// digests of files, whose contents may change, and versions of tools. See Lab.
	Inputs map[string]string `json:"inputs"`
}

// Build is a kernel of a list that is bisected. Its commit is one of a repository that only
// the bisection uses.
type Build struct {
	Name   string `json:"name"` // its place in the list, from 1, and the end of its spec
	Commit string `json:"commit"`
	Spec   string `json:"spec"`
}

// kernel returns the kernel of a commit, nil if the bisection is of a tree.
func (r Request) kernel(commit string) *Build {
	i := slices.IndexFunc(r.Kernels, func(k Build) bool { return k.Commit == commit })
	if i < 0 {
		return nil
	}
	return &r.Kernels[i]
}

// name returns the name that a commit's kernel has in cells.
func (r Request) name(commit string) string {
	if k := r.kernel(commit); k != nil {
		return k.Name
	}
	return short(commit)
}

// skip returns the value of --skip for a commit.
func (r Request) skip(commit string) string {
	if k := r.kernel(commit); k != nil {
		return k.Spec
	}
	return short(commit)
}

// title returns a commit with its subject, or a kernel's spec.
func (r Request) title(commit, subject string) string {
	if k := r.kernel(commit); k != nil {
		return k.Spec
	}
	return fmt.Sprintf("%s %q", short(commit), subject)
}

// End is one of the two ends.
type End struct {
	Rev     string `json:"rev"` // as requested: a revision, or the spec of a kernel
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
}

// String returns the end as requested, with its commit.
func (e End) String() string {
	if e.Rev == e.Subject { // the spec of a kernel
		return e.Rev
	}
	if len(e.Rev) >= 7 && len(e.Commit) >= len(e.Rev) && e.Commit[:len(e.Rev)] == e.Rev {
		return short(e.Commit)
	}
	return e.Rev + " (" + short(e.Commit) + ")"
}

// title returns the end with its subject.
func (e End) title() string {
	if e.Rev == e.Subject {
		return e.Rev
	}
	return fmt.Sprintf("%s %q", e, e.Subject)
}

// another says how to give another end.
func (r Request) another(side git.Term) string {
	if len(r.Kernels) > 0 {
		return "a list with another " + map[git.Term]string{git.Old: "first", git.New: "last"}[side] + " kernel"
	}
	return fmt.Sprintf("another --%s", side)
}

// Differing is a scenario with its headlines on the two ends.
type Differing struct {
	Scenario string `json:"scenario"`
	Old      string `json:"old"`
	New      string `json:"new"`
}

// Aside is a scenario that cannot be bisected.
type Aside struct {
	Scenario string `json:"scenario"`
	Why      string `json:"why"`
}

// Step is a tried commit, or a kernel that was built to check an answer.
type Step struct {
	// Kernel is its name in cells: the commit's first digits, and the edit that was made
	// before the build.
	Kernel  string `json:"kernel"`
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
	Spec    string `json:"spec"`
	State   State  `json:"state"`
	Why     string `json:"why,omitempty"`     // the first error, if it is not Observed
	Console string `json:"console,omitempty"` // the end of the console, if it does not boot
	// Column is the observed kernel.
	Column results.Kernel `json:"column,omitzero"`
	// Shown is what each scenario showed.
	Shown map[string]Shown `json:"shown,omitempty"`
	// Check reports that it checks an answer, and is not a step of the bisection.
	Check bool `json:"check,omitempty"`
	// BuildSeconds and ObserveSeconds are the times taken. ObserveSeconds includes the
	// boot (Column.BootMillis); a cached kernel takes no time to build.
	BuildSeconds   float64 `json:"build_s"`
	ObserveSeconds float64 `json:"observe_s"`
}

// Shown is the result of a scenario on a commit: one of the sides, or Skip.
type Shown struct {
	Side git.Term `json:"side"`
	Text string   `json:"text"`          // the headline
	Why  string   `json:"why,omitempty"` // the reason for Skip
}

// Answer is the result for scenarios that always showed the same side.
type Answer struct {
	Scenarios []string `json:"scenarios"`
	// First is the hash of the first new commit, Subject its subject.
	First   string `json:"first,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Possible are the candidates, if the commits between them cannot be judged. Error is
	// why there is no answer.
	Possible []string `json:"possible,omitempty"`
	Error    string   `json:"error,omitempty"`
	// Log is the file with the log of git bisect, for git bisect replay.
	Log   string `json:"log,omitempty"`
	Check *Check `json:"check,omitempty"`
}

// Verdict of a check.
type Verdict string

const (
	Confirmed    Verdict = "confirmed"    // without the commit, or with it, the other side shows
	Contradicted Verdict = "contradicted" // it does not
	NotPossible  Verdict = "not_possible" // the edited kernels do not apply, build or boot
)

// Check is the check of an answer.
type Check struct {
	How     string  `json:"how"`    // "reverted on v6.5 (1234)"
	Kernel  string  `json:"kernel"` // the step's
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// maxRecord bounds a record: some thousand commits, each with all scenarios.
const maxRecord = 128 << 20

// load reads the record in a folder. If there is none, the error is the request's.
func load(dir string) (*Record, error) {
	folder, err := results.At(dir)
	if err != nil {
		return nil, err
	}
	data, err := folder.ReadFile(File, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errkind.Requestf("nothing to resume: no bisection was started in %s; bisect without --resume first", dir)
	}
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, errkind.Requestf("resume %s: %w; bisect without --resume, and with another --out",
			filepath.Join(dir, File), err)
	}
	if r.Schema != Schema {
		return nil, errkind.Requestf("resume %s: schema %q, not %q; bisect without --resume",
			filepath.Join(dir, File), r.Schema, Schema)
	}
	return &r, nil
}

// same returns an error if now is not the recorded bisection.
func (r *Record) same(now Record) error {
	other := func(what, old, now string) error {
		return errkind.Requestf("resume: the bisection was started with %s %s, this is %s; "+
			"give the same, or bisect without --resume", what, old, now)
	}
	a, b := r.Request, now.Request
	switch {
	case r.Tool != now.Tool:
		return other("faultline", r.Tool.Version, now.Tool.Version)
	case a.Tree != b.Tree:
		return other("the tree", a.Tree, b.Tree)
	case !slices.Equal(a.Kernels, b.Kernels):
		return other("the kernels", fmt.Sprint(len(a.Kernels)), fmt.Sprint(len(b.Kernels), " or others"))
	case a.Old.Commit != b.Old.Commit:
		return other("the old end", short(a.Old.Commit), short(b.Old.Commit))
	case a.New.Commit != b.New.Commit:
		return other("the new end", short(a.New.Commit), short(b.New.Commit))
	case !slices.Equal(a.Settings, b.Settings):
		return other("the settings", fmt.Sprint(a.Settings), fmt.Sprint(b.Settings))
	case !slices.Equal(a.Scenarios, b.Scenarios):
		return other("the scenarios", fmt.Sprint(len(a.Scenarios)), fmt.Sprint(len(b.Scenarios), " or others"))
	case a.Accel != b.Accel:
		return other("--accel", a.Accel, b.Accel)
	}
	names := slices.Sorted(maps.Keys(b.Inputs))
	for name := range a.Inputs {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		before, recorded := a.Inputs[name]
		if now, used := b.Inputs[name]; before != now || !recorded || !used {
			return other("another "+name+":", clip(strconv.Quote(before), 60), clip(strconv.Quote(now), 60))
		}
	}
	return nil
}

// step returns the step of the named kernel, or nil.
func (r *Record) step(kernel string) *Step {
	i := slices.IndexFunc(r.Steps, func(s Step) bool { return s.Kernel == kernel })
	if i < 0 {
		return nil
	}
	return &r.Steps[i]
}
