package bisect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/git"
)

// attempt is a kernel to try.
type attempt struct {
	commit, kernel, subject, spec string
	scenarios                     []string
	times                         int // how often each is observed; 0 means once
	end, check                    bool
	ahead                         string // the spec of the kernel that is needed next
}

// try builds and observes a commit, unless that is already recorded, and records the
// result. After an infrastructure failure nothing is recorded, so that it can be tried
// again.
func (b *bisection) try(ctx context.Context, t attempt) (Step, error) {
	if s := b.rec.step(t.kernel); s != nil {
		return *s, nil
	}
	s := Step{Kernel: t.kernel, Commit: t.commit, Subject: t.subject, Spec: t.spec, Check: t.check, State: Observed}
	if b.skip[t.commit] && !t.check {
		s.State = LeftOut
		return s, b.done(s)
	}
	begun := time.Now()
	err := b.lab.Build(ctx, t.spec)
	s.BuildSeconds = time.Since(begun).Seconds()
	if err == nil {
		var cells []observe.Cell
		begun = time.Now()
		wait := b.buildAhead(ctx, t)
		s.Column, cells, err = b.observe(ctx, t)
		s.ObserveSeconds = time.Since(begun).Seconds()
		wait()
		for _, c := range cells {
			b.keep(c)
		}
	}
	var own *SourceError
	if errors.As(err, &own) {
		s.State, s.Why, s.Console = own.State, own.Err.Error(), own.Console
		return s, b.done(s)
	}
	if err != nil {
		return s, err
	}
	if len(b.rec.Differ) > 0 {
		b.show(&s)
	}
	return s, b.done(s)
}

// buildAhead builds the kernel that is needed next if a core is free. The returned
// function waits for the build, whose error shows when the kernel is needed.
func (b *bisection) buildAhead(ctx context.Context, t attempt) (wait func()) {
	if t.ahead == "" || !b.lab.Spare(len(t.scenarios)) {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.lab.Build(ctx, t.ahead)
	}()
	return func() { <-ended }
}

// observe observes a kernel; scenarios with an infrastructure failure are observed again.
func (b *bisection) observe(ctx context.Context, t attempt) (column results.Kernel, cells []observe.Cell, err error) {
	w := Wanted{
		Name:      t.kernel,
		Spec:      t.spec,
		Scenarios: t.scenarios,
		Times:     max(t.times, 1),
		Consoles:  b.folder.Path(results.KernelDir(t.kernel), "consoles"),
	}
	column, cells, err = b.lab.Observe(ctx, w)
	if err != nil {
		return column, nil, err
	}
	var failed []string
	for _, c := range cells {
		if c.Verdict == observe.Infra && !slices.Contains(failed, c.Scenario) {
			failed = append(failed, c.Scenario)
		}
	}
	if len(failed) > 0 {
		b.Log("observing %s on %s again after an infrastructure failure", strings.Join(failed, ", "), t.kernel)
		w.Scenarios = failed
		_, again, err := b.lab.Observe(ctx, w)
		if err != nil {
			return column, nil, err
		}
		cells = append(
			slices.DeleteFunc(cells, func(c observe.Cell) bool { return slices.Contains(failed, c.Scenario) }),
			again...)
	}
	for _, c := range cells {
		if c.Verdict == observe.Infra && !t.end { // an end loses only the scenario
			return column, nil, &InfraError{Scenario: c.Scenario, Kernel: t.kernel, Skip: b.rec.Request.skip(t.commit), Cell: c}
		}
		if err := b.folder.PutCell(c); err != nil {
			return column, nil, err
		}
	}
	return column, cells, nil
}

// InfraError is the error of two failed attempts to observe a scenario on a commit.
type InfraError struct {
	Scenario string
	Kernel   string // its name in cells
	Skip     string // the value of --skip that leaves it out
	Cell     observe.Cell
}

func (e *InfraError) Error() string {
	return fmt.Sprintf("observe %s on %s: failed twice: %s; "+
		"use --resume to try again, and --skip %s with it to continue without that kernel",
		e.Scenario, e.Kernel, e.Cell.Message, e.Skip)
}

// done records a step.
func (b *bisection) done(s Step) error {
	b.rec.Steps = append(b.rec.Steps, s)
	b.sayStep(s)
	return b.save()
}

// show records which side each scenario showed on a kernel, by comparison with the ends.
func (b *bisection) show(s *Step) {
	s.Shown = map[string]Shown{}
	req := b.rec.Request
	oldEnd, newEnd := b.cells[req.name(req.Old.Commit)], b.cells[req.name(req.New.Commit)]
	for _, d := range b.rec.Differ {
		c, ok := b.cells[s.Kernel][d.Scenario]
		if !ok {
			continue
		}
		x, y := oldEnd[d.Scenario], newEnd[d.Scenario]
		shown := Shown{Text: observe.Headlines([]observe.Cell{x, y, c})[2]}
		shown.Side, shown.Why = sideOf(x, y, c)
		s.Shown[d.Scenario] = shown
	}
}

// sayStep logs the result of a step.
func (b *bisection) sayStep(s Step) {
	took := fmt.Sprintf("built in %.1f s, observed in %.1f s", s.BuildSeconds, s.ObserveSeconds)
	if s.State != Observed {
		b.Log("%s %v: %s", s.Kernel, s.State, s.Why)
		return
	}
	sides := map[git.Term]int{}
	for _, shown := range s.Shown {
		sides[shown.Side]++
	}
	if len(sides) == 0 {
		b.Log("%s %s", s.Kernel, took)
		return
	}
	var parts []string
	for _, side := range []git.Term{git.Old, git.New, git.Skip} {
		if n := sides[side]; n > 0 {
			word := map[git.Term]string{
				git.Old: "as on the old end", git.New: "as on the new end", git.Skip: "a third result",
			}[side]
			if len(s.Shown) > 1 {
				word = fmt.Sprintf("%d %s", n, word)
			}
			parts = append(parts, word)
		}
	}
	b.Log("%s: %s (%s)", s.Kernel, strings.Join(parts, ", "), took)
}
