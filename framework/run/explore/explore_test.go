package explore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// model is a Lab of kernels that are functions: a kernel returns the outcome of each step.
type model struct {
	kernels  map[string]func(p generated.Program, step int) string
	names    []string
	observed int
	// after is how many programs are observed before cancel is called; 0 for no limit.
	after  int
	cancel func()
}

func (m *model) Observe(ctx context.Context, all []Wanted, cell func(observe.Cell)) error {
	for _, w := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, name := range m.names {
			c := observe.Cell{Scenario: w.ID(), Kernel: name, Verdict: observe.Expected, Attempt: w.Attempt}
			for i, s := range w.Steps {
				c.Steps = append(c.Steps, observe.Step{Actor: "victim", Action: s.Name, Outcome: observe.Outcome{Note: m.kernels[name](w.Program, i)}})
			}
			cell(c)
		}
		if m.observed++; m.observed == m.after {
			m.cancel()
		}
	}
	return nil
}

// models are two kernels that differ in two ways: in loads after a bad block on DAX, and in
// mincore of a page that was advised to be freed after poison.
func models() *model {
	before := func(p generated.Program, step int, names ...string) bool {
		for i := step - 1; i >= 0 && len(names) > 0; i-- {
			if p.Steps[i].Name == names[len(names)-1] {
				names = names[:len(names)-1]
			}
		}
		return len(names) == 0
	}
	kernel := func(changed bool) func(generated.Program, int) string {
		return func(p generated.Program, step int) string {
			switch s := p.Steps[step]; {
			case s.Name == "load" && p.Place.Kind&generated.DAX != 0 && before(p, step, "badblock"):
				return fmt.Sprint("SIGBUS ", changed)
			case s.Name == "mincore" && before(p, step, "poison", "free"):
				return fmt.Sprint("resident ", changed)
			}
			return "ok"
		}
	}
	return &model{
		names:   []string{"old", "new"},
		kernels: map[string]func(generated.Program, int) string{"old": kernel(false), "new": kernel(true)},
	}
}

func explored(t *testing.T, m *model, dir string, programs int, resume bool, about ...string) Outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.cancel = cancel
	out, err := Do(ctx, m, Options{
		Header: Header{Seed: 7, About: about}, Kernels: []judge.Kernel{{Name: "old"}, {Name: "new"}}, Programs: programs, Out: dir, Resume: resume,
		Log: func(string, ...any) {}, Doing: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Both differences are found, each once, and reduced to the least program.
func TestFinds(t *testing.T) {
	out := explored(t, models(), t.TempDir(), 16000, false, "anon", "thp", "dax-ext4-*")
	var got []string
	for _, f := range out.Findings {
		got = append(got, f.Program)
	}
	slices.Sort(got)
	want := []string{"generated/anon/poison/free/mincore", "generated/dax-ext4-shared/badblock/load"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if out.Differ == 0 || out.Same+out.Differ != out.Programs || out.Programs != 16000 {
		t.Errorf("counts: %+v", out)
	}
}

// The same seed gives the same programs and findings, also if the exploration is stopped at
// any moment and resumed: nothing is observed twice.
func TestResume(t *testing.T) {
	whole := models()
	want := explored(t, whole, t.TempDir(), 600, false)
	for _, after := range []int{1, 63, 64, 65, 200, 599} {
		dir := t.TempDir()
		cut, rest := models(), models()
		cut.after = after
		if out := explored(t, cut, dir, 600, false); !out.Interrupted {
			t.Errorf("cut after %d: not interrupted", after)
		}
		got := explored(t, rest, dir, 600, true)
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Finding{}, generated.Program{})); d != "" {
			t.Errorf("cut after %d (-whole +resumed):\n%s", after, d)
		}
		if cut.observed+rest.observed != whole.observed {
			t.Errorf("cut after %d: %d and %d observations, want %d in all", after, cut.observed, rest.observed, whole.observed)
		}
	}
}

// A kernel that does not repeat is not a difference.
func TestUnstable(t *testing.T) {
	m := models()
	n := 0
	m.kernels["new"] = func(p generated.Program, step int) string {
		if p.Place.Name == "anon" {
			n++
			return fmt.Sprint(n)
		}
		return "ok"
	}
	m.kernels["old"] = func(generated.Program, int) string { return "ok" }
	out := explored(t, m, t.TempDir(), 500, false)
	if len(out.Findings) > 0 || len(out.Unstable) == 0 {
		t.Errorf("%d findings, %d unstable; want none and some", len(out.Findings), len(out.Unstable))
	}
	for _, id := range out.Unstable {
		if !strings.HasPrefix(id, "generated/anon/") {
			t.Errorf("%s is unstable", id)
		}
	}
}

func TestGenerate(t *testing.T) {
	if n := len(newGenerator(1, nil).exhaustive()); n < 15000 || n > 25000 {
		t.Errorf("%d programs of one injection and one operation, want some 20,000", n)
	}
	a, b := newGenerator(3, nil), newGenerator(3, nil)
	seen := map[string]bool{}
	for range 100 {
		x, y := a.next(200), b.next(200)
		for i := range x {
			if x[i].ID() != y[i].ID() {
				t.Fatalf("the same seed gives %s and %s", x[i].ID(), y[i].ID())
			}
			if seen[x[i].ID()] {
				t.Fatalf("%s twice", x[i].ID())
			}
			seen[x[i].ID()] = true
			if p, err := generated.Parse(x[i].ID()); err != nil || p.ID() != x[i].ID() {
				t.Fatalf("%s: %v", x[i].ID(), err)
			}
		}
		a.interesting(x[0])
		b.interesting(y[0])
	}
	if len(seen) != 20000 {
		t.Errorf("%d programs, want 20000", len(seen))
	}
}

// Reduced programs make sense and are smaller.
func TestSmaller(t *testing.T) {
	g := newGenerator(5, nil)
	for _, p := range g.next(3000) {
		for _, s := range smaller(p) {
			if why := s.Check(); why != "" {
				t.Errorf("%s → %s: %s", p.ID(), s.ID(), why)
			}
			if s.ID() == p.ID() || len(s.Steps) > len(p.Steps) {
				t.Errorf("%s → %s is not smaller", p.ID(), s.ID())
			}
			if !within(s, p) {
				t.Errorf("%s is not within %s", s.ID(), p.ID())
			}
		}
	}
}
