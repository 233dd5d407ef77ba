package explore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

// model is a Lab of kernels that are functions: a kernel returns the outcome of each step.
type model struct {
	kernels map[string]func(p generated.Program, step int) string
	names   []string
	// verdict returns the verdict of a cell; nil for an observation.
	verdict  func(observe.Cell) observe.Verdict
	observed int // cells
	delay    time.Duration
	// after is how many cells are observed before cancel is called; 0 for no limit.
	after  int
	cancel func()
}

// columns returns the kernels.
func (m *model) columns() (out []Kernel) {
	for _, name := range m.names {
		out = append(out, Kernel{Kernel: judge.Kernel{Name: name}, Digest: name})
	}
	return out
}

func (m *model) Observe(ctx context.Context, all []Wanted, cell func(observe.Cell)) error {
	for _, name := range m.names {
		for _, w := range all {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !w.On(name) {
				continue
			}
			c := observe.Cell{Scenario: w.ID(), Kernel: name, Verdict: observe.Expected, Attempt: w.Attempt}
			for i, s := range w.Steps {
				c.Steps = append(c.Steps, observe.Step{
					Actor: "victim", Action: s.Name, Of: i + 1, Outcome: observe.Outcome{Note: m.kernels[name](w.Program, i)},
				})
			}
			time.Sleep(m.delay)
			if m.verdict != nil {
				c.Verdict = m.verdict(c)
			}
			cell(c)
			if m.observed++; m.observed == m.after {
				m.cancel()
			}
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
		Header: Header{Seed: 7, About: about}, Kernels: m.columns(), Most: programs, Out: dir, Resume: resume,
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
	for _, after := range []int{1, 63, 64, 65, 129, 500, 1100} {
		dir := t.TempDir()
		cut, rest := models(), models()
		cut.after = after
		if out := explored(t, cut, dir, 600, false); !out.Interrupted {
			t.Errorf("cut after %d: not interrupted", after)
		}
		got := explored(t, rest, dir, 600, true)
		if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Finding{})); d != "" {
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

// An infrastructure failure is observed once more; a second one costs only its own program,
// and is tried again by --resume.
func TestLost(t *testing.T) {
	m, dir := models(), t.TempDir()
	failed := map[string]int{}
	m.verdict = func(c observe.Cell) observe.Verdict {
		key := c.Scenario + c.Kernel
		if c.Kernel == "new" && strings.HasPrefix(c.Scenario, "generated/anon/") && failed[key] < 1 {
			failed[key]++
			return observe.Infra
		}
		if c.Kernel == "new" && strings.HasPrefix(c.Scenario, "generated/thp/") {
			return observe.Infra
		}
		return observe.Expected
	}
	out := explored(t, m, dir, 300, false)
	if len(out.Lost) == 0 || len(failed) == 0 || out.Same+out.Differ+len(out.Lost) != 300 {
		t.Errorf("%d lost, %d failed once, of %+v", len(out.Lost), len(failed), out)
	}
	for _, l := range out.Lost {
		if !strings.HasPrefix(l.Program, "generated/thp/") || !strings.HasPrefix(l.Why, "new: ") {
			t.Errorf("lost: %+v", l)
		}
	}
	if again := explored(t, models(), dir, 300, true); len(again.Lost) > 0 || again.Same+again.Differ != 300 {
		t.Errorf("resumed: %d lost of %+v", len(again.Lost), again)
	}
}

// Of three kernels, one that cannot run a program does not hide the difference of the others.
func TestThree(t *testing.T) {
	m := models()
	m.names = []string{"old", "new", "third"}
	m.kernels["third"] = m.kernels["old"]
	m.verdict = func(c observe.Cell) observe.Verdict {
		if c.Kernel == "third" {
			return observe.Skipped
		}
		return observe.Expected
	}
	out := explored(t, m, t.TempDir(), 1000, false, "dax-*")
	if len(out.Findings) == 0 || out.Findings[0].KernelB != "new" {
		t.Errorf("findings: %+v", out.Findings)
	}
}

// Known changes explain nothing between two builds of the same kernel.
func TestSameDigest(t *testing.T) {
	cell := func(kernel, errno string) observe.Cell {
		return observe.Cell{
			Scenario: "generated/dax-ext4-shared/badblock/load", Kernel: kernel, Verdict: observe.Expected,
			Steps: []observe.Step{{Actor: "victim", Action: "load file+0x4005", Of: 2, Outcome: observe.Outcome{Errno: errno}}},
		}
	}
	known := change.List{{ID: "c", Signatures: []change.Signature{{Places: []string{"*"}, Actions: []string{"load BYTE"}, Before: "EIO", With: "EPERM"}}}}
	for digest, want := range map[string]int{"x": 1, "y": 0} {
		o := Options{Known: known, Kernels: []Kernel{{judge.Kernel{Name: "a"}, "x"}, {judge.Kernel{Name: "b"}, digest}}}
		if p := o.compare(cell("a", "EIO"), cell("b", "EPERM")); len(p.classes) != want || p.status != differ {
			t.Errorf("digests x and %s: %+v, want %d classes", digest, p, want)
		}
	}
}

// What was not examined when the time was up is reported as that.
func TestTimeIsUp(t *testing.T) {
	m := models()
	m.delay = 20 * time.Microsecond
	out, err := Do(t.Context(), m, Options{
		Header: Header{Seed: 7, About: []string{"dax-*"}}, Kernels: m.columns(), For: 60 * time.Millisecond, Out: t.TempDir(),
		Log: func(string, ...any) {}, Doing: func(string) {},
	})
	if err != nil || out.Interrupted {
		t.Fatal(err, out.Interrupted)
	}
	if n := out.Same + out.Differ + out.Skipped + len(out.Lost) + len(out.Unstable) + len(out.Open); n != out.Programs {
		t.Errorf("%d of %d programs are counted", n, out.Programs)
	}
}

// A damaged or foreign line costs only its own cell.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	want := explored(t, models(), dir, 200, false)
	path := filepath.Join(dir, JournalFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	lines[3] = "{broken\n"
	lines[7] = `{"cell":{"scenario":"generated/anon/poison","kernel":"nobody","verdict":"expected"}}` + "\n"
	lines[9] = `{"cell":{"scenario":"x","kernel":"old","verdict":"expected"}}` + "\n"
	lines[11] = "{}\n"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")+`{"cell":{"scen`), 0o644); err != nil {
		t.Fatal(err)
	}
	m := models()
	got := explored(t, m, dir, 200, true)
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Finding{})); d != "" {
		t.Errorf("(-whole +damaged):\n%s", d)
	}
	if m.observed != 4 {
		t.Errorf("%d cells were observed again, want 4", m.observed)
	}
	if err := os.WriteFile(path, []byte("text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Do(t.Context(), m, Options{Header: Header{Seed: 7}, Kernels: m.columns(), Most: 9, Out: dir, Resume: true})
	if err == nil || !strings.Contains(err.Error(), "is not the journal of an exploration") {
		t.Errorf("got %v", err)
	}
}
