package bisect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/git"
)

// Ends are the results of the two ends of an external bisection (git bisect run).
type Ends struct {
	// Scenarios are the selected scenarios in which they differ.
	Scenarios []string

	old, new map[string]observe.Cell
}

// Here is the machine and the suites that observe the commits between the ends.
type Here struct {
	Host   results.Host
	Suites map[string]string // the digests of the suites, by name
}

// same returns an error if the ends were observed by another machine or other suites,
// because then a difference need not come from the commit.
func (h Here) same(r results.Run) error {
	const again = "observe both ends here: faultline run --kernel OLD --kernel NEW"
	if unlike := r.Host.Unlike(h.Host, r.WithKVM()); unlike != "" {
		return errkind.Requestf("the ends were observed on another machine (%s); %s", unlike, again)
	}
	if len(r.Suites) == 0 {
		return errkind.Requestf("the run of the ends does not record which suites observed them; %s", again)
	}
	for _, name := range slices.Sorted(maps.Keys(h.Suites)) {
		if then, ok := r.Suites[name]; ok && then != h.Suites[name] {
			return errkind.Requestf("the ends were observed by another suite %s (digest %.12s, this is %.12s); %s",
				name, then, h.Suites[name], again)
		}
	}
	return nil
}

// EndsOf returns the ends from a run of two kernels, the old end first.
func EndsOf(r results.Run, picked []string, here Here) (Ends, error) {
	if len(r.Kernels) != 2 {
		return Ends{}, errkind.Requestf(
			"the run of the ends has %d kernels, not two; observe the old end and the new one: faultline run --kernel OLD --kernel NEW",
			len(r.Kernels),
		)
	}
	if err := here.same(r); err != nil {
		return Ends{}, err
	}
	e := Ends{old: map[string]observe.Cell{}, new: map[string]observe.Cell{}}
	seen := 0
	for _, id := range picked {
		x, inOld := observe.Pick(r.Cells, r.Kernels[0].Name, id)
		y, inNew := observe.Pick(r.Cells, r.Kernels[1].Name, id)
		if !inOld || !inNew || !x.Comparable() || !y.Comparable() || x.Accel != y.Accel {
			continue
		}
		if seen++; len(judge.Differ(x, y)) > 0 {
			e.Scenarios, e.old[id], e.new[id] = append(e.Scenarios, id), x, y
		}
	}
	if len(e.Scenarios) == 0 {
		return e, errkind.Requestf("nothing to bisect: %s and %s do not differ in any of the %d scenarios "+
			"that were observed on both", r.Kernels[0].Name, r.Kernels[1].Name, seen)
	}
	return e, nil
}

// Judge builds and observes one kernel, and returns which side it shows, with the reason.
// It returns git.Skip for a kernel that does not build or boot, shows a third result, or
// shows the old side in one scenario and the new side in another.
func (e Ends) Judge(ctx context.Context, lab Lab, spec string) (git.Term, string, error) {
	dir, err := os.MkdirTemp("", "faultline-step-") // its consoles are discarded
	if err != nil {
		return git.Skip, "", err
	}
	defer os.RemoveAll(dir)
	err = lab.Build(ctx, spec)
	var cells []observe.Cell
	if err == nil {
		_, cells, err = lab.Observe(
			ctx,
			Wanted{Name: "step", Spec: spec, Scenarios: e.Scenarios, Times: 1, Consoles: filepath.Join(dir, "consoles")},
		)
	}
	var own *SourceError
	if errors.As(err, &own) {
		return git.Skip, own.Error(), nil
	}
	if err != nil {
		return git.Skip, "", err
	}
	sides := map[git.Term][]string{}
	for _, c := range cells {
		if c.Verdict == observe.Infra {
			return git.Skip, "", fmt.Errorf("observe %s: %s; run the step again", c.Scenario, c.Message)
		}
		side, why := sideOf(e.old[c.Scenario], e.new[c.Scenario], c)
		if why == "" {
			why = observe.Headlines([]observe.Cell{e.old[c.Scenario], e.new[c.Scenario], c})[2]
		}
		sides[side] = append(sides[side], c.Scenario+": "+why)
	}
	for _, side := range []git.Term{git.Old, git.New} {
		if len(sides) == 1 && len(sides[side]) > 0 {
			return side, strings.Join(sides[side], "\n"), nil
		}
	}
	var lines []string
	for _, side := range []git.Term{git.Old, git.New, git.Skip} {
		for _, s := range sides[side] {
			lines = append(lines, fmt.Sprintf("%s: %s", word(side), s))
		}
	}
	return git.Skip, strings.Join(lines, "\n"), nil
}

// sideOf returns the end whose result a cell shows; for a third result, how it differs.
func sideOf(oldEnd, newEnd, c observe.Cell) (side git.Term, why string) {
	switch {
	case !c.Comparable():
		return git.Skip, c.Message
	case c.Accel != oldEnd.Accel:
		return git.Skip, fmt.Sprintf("ran with %s, but the ends with %s", c.Accel, oldEnd.Accel)
	case len(judge.Differ(oldEnd, c)) == 0:
		return git.Old, ""
	}
	other := judge.Differ(newEnd, c)
	if len(other) == 0 {
		return git.New, ""
	}
	return git.Skip, "differs from both ends: " + other[0].String()
}
