package compare_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/klog"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func of(t *testing.T, a, b compare.Side, opt compare.Options) compare.Comparison {
	t.Helper()
	c, err := compare.Of(a, b, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func whole(run results.Run) compare.Side { return compare.Side{Label: "folder", Run: run} }

func kernel(run results.Run, name string) compare.Side {
	return compare.Side{Label: "folder", Run: run, Kernel: name}
}

func differences(c compare.Comparison) (all []conclusion.Difference) {
	for _, p := range c.Pairs {
		all = append(all, p.Differences...)
	}
	return all
}

// Any run is equal to itself.
func TestARunWithItself(t *testing.T) {
	for name, run := range demo.Every() {
		if len(run.Kernels) == 0 {
			continue
		}
		c := of(t, whole(run), whole(run), compare.Options{})
		if d := differences(c); len(d) > 0 || len(c.Pairs) != len(run.Kernels) || len(c.OnlyA)+len(c.OnlyB) > 0 {
			t.Errorf("%s: got the differences %v, %d pairs of %d kernels, %d only in one run; want no difference, each in a pair",
				name, d, len(c.Pairs), len(run.Kernels), len(c.OnlyA)+len(c.OnlyB))
		}
	}
}

// Two kernels of a run have the differences that the run records.
func TestKernelsOfARun(t *testing.T) {
	for name, run := range demo.Every() {
		if len(run.Kernels) != 2 || run.Interrupted {
			continue
		}
		c := of(t, kernel(run, run.Kernels[0].Name), kernel(run, run.Kernels[1].Name), compare.Options{})
		if diff := cmp.Diff(run.Differences, differences(c)); diff != "" && len(run.Differences) > 0 {
			t.Errorf("%s: differences mismatch (-want +got):\n%s", name, diff)
		}
	}
}

func TestExitCode(t *testing.T) {
	every := demo.Every()
	for name, test := range map[string]struct {
		a, b compare.Side
		want int
	}{
		"explained":                {kernel(every["as expected"], "6.1"), kernel(every["as expected"], "6.12"), 0},
		"the other way round":      {kernel(every["as expected"], "6.12"), kernel(every["as expected"], "6.1"), 0},
		"lost":                     {kernel(every["lost change"], "6.1"), kernel(every["lost change"], "6.12"), 1},
		"unexplained":              {whole(every["as expected"]), whole(every["unexplained difference"]), 1},
		"unexpected in both":       {whole(every["unexpected"]), whole(every["unexpected"]), 0},
		"unexpected in one":        {whole(every["as expected"]), whole(every["unexpected"]), 1},
		"infrastructure failure":   {whole(every["as expected"]), whole(every["infra"]), 3},
		"skipped":                  {whole(every["as expected"]), whole(every["skipped"]), 0},
		"interrupted":              {whole(every["as expected"]), whole(every["interrupted"]), 3},
		"nothing in common":        {whole(every["as expected"]), whole(every["interrupted before all"]), 3},
		"a finding, and infra":     {whole(every["as expected"]), whole(every["troubled"]), 1},
		"a splat that is no other": {whole(every["splat"]), whole(every["splat"]), 0},
	} {
		if c := of(t, test.a, test.b, compare.Options{}); c.ExitCode() != test.want {
			t.Errorf("%s: got exit code %d, want %d: %v", name, c.ExitCode(), test.want, differences(c))
		}
	}
}

// A kernel that panics on another host than the one that another kernel survived on has
// lost nothing: the processor and QEMU also decide whether a machine check is survived.
func TestLossOnAnotherHost(t *testing.T) {
	const cow = "mce/anon/cow"
	record := func(qemu string, side observe.Side) results.Run {
		run := demo.Run()
		run.Host.QEMU = qemu
		run.Kernels = run.Kernels[1:]
		outcome := observe.Outcome{Errno: "EFAULT"}
		if side == observe.Before {
			outcome = observe.Outcome{Note: klog.PanicMark + ": Fatal local machine check"}
		}
		run.Cells = []observe.Cell{{Scenario: cow, Kernel: run.Kernels[0].Name, Accel: "tcg", Verdict: observe.Expected, Steps: []observe.Step{
			{Actor: "host", Action: "machine check SRAR at anon+0x4000, as the kernel accesses it"},
			{Actor: "child", Action: "store anon+0x4005", Outcome: outcome, Expected: &observe.Expectation{
				Change: change.CopyUserHighpageMC.ID, Before: "panic", After: "EFAULT", Side: side, Met: true}},
		}}}
		return run
	}
	survived := record("7.2.22", observe.After)
	for qemu, want := range map[string]struct{ code, own, others int }{
		"7.2.22": {errkind.ExitUnexpected, 2, 0}, "10.0.13": {errkind.ExitInfra, 0, 2}, "": {errkind.ExitExpected, 2, 0},
	} {
		c := of(t, whole(survived), whole(record(qemu, observe.Before)), compare.Options{})
		if p := c.Pairs[0]; c.ExitCode() != want.code || len(p.Differences) != want.own || len(p.OtherHost) != want.others {
			t.Errorf("QEMU %q: got exit code %d, %v, of other hosts %v; want %d, %d differences, %d of other hosts",
				qemu, c.ExitCode(), differences(c), p.OtherHost, want.code, want.own, want.others)
		}
	}
}

// Kernels with another name and version have the same spec.
func TestPairs(t *testing.T) {
	old, now := demo.Run(), demo.Run()
	rename := func(run *results.Run, from, to string) {
		for i := range run.Kernels {
			if run.Kernels[i].Name == from {
				run.Kernels[i].Name = to
			}
		}
		for i := range run.Cells {
			if run.Cells[i].Kernel == from {
				run.Cells[i].Kernel = to
			}
		}
	}
	rename(&now, demo.OldName, "6.1.999 (apt:bookworm)")
	rename(&now, demo.NewName, "ours")
	now.Kernels[1].Spec = "dir:ours"
	for name, test := range map[string]struct {
		a, b compare.Side
		told [][2]string
		want string
	}{
		"by name":          {whole(old), whole(old), nil, "6.1.192 (apt:bookworm) = 6.1.192 (apt:bookworm), 6.12.117 (apt:bookworm, 6.12) = 6.12.117 (apt:bookworm, 6.12)"},
		"by spec":          {whole(old), whole(now), nil, "6.1.192 (apt:bookworm) = 6.1.999 (apt:bookworm); only A 6.12.117 (apt:bookworm, 6.12); only B ours"},
		"as given":         {whole(old), whole(now), [][2]string{{"6.12.117", "ours"}}, "6.12.117 (apt:bookworm, 6.12) = ours, 6.1.192 (apt:bookworm) = 6.1.999 (apt:bookworm)"},
		"crosswise":        {whole(old), whole(old), [][2]string{{"6.1", "6.12"}, {"6.12", "6.1"}}, "6.1.192 (apt:bookworm) = 6.12.117 (apt:bookworm, 6.12), 6.12.117 (apt:bookworm, 6.12) = 6.1.192 (apt:bookworm)"},
		"one of each":      {kernel(old, "apt:bookworm"), kernel(now, "ou"), nil, "6.1.192 (apt:bookworm) = ours"},
		"one of two":       {kernel(old, "6.1.0-56-amd64"), whole(now), nil, "6.1.192 (apt:bookworm) = 6.1.999 (apt:bookworm); only B ours"},
		"no such kernel":   {kernel(old, "7.0"), whole(now), nil, `folder has no kernel "7.0", or more than one; give one of 6.1.192 (apt:bookworm) and 6.12.117 (apt:bookworm, 6.12)`},
		"more than one":    {kernel(old, "6"), whole(now), nil, `folder has no kernel "6", or more than one; `},
		"an unknown pair":  {whole(old), whole(now), [][2]string{{"6.1", "theirs"}}, `folder has no kernel "theirs", or more than one; `},
		"given twice":      {whole(old), whole(now), [][2]string{{"6.1", "ours"}, {"6.12", "ours"}}, "--pair 6.12=ours: one of them is in another pair"},
		"nothing together": {kernel(old, "6.1"), whole(demo.AddKernels(now, 1)), nil, "6.1.192 (apt:bookworm) = 6.1.999 (apt:bookworm)"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := compare.Of(test.a, test.b, compare.Options{Pairs: test.told})
			var got string
			if err != nil {
				got = err.Error()
				if errkind.Of(err) != errkind.Request {
					t.Errorf("got %v, want a request error", err)
				}
			} else {
				var pairs []string
				for _, p := range c.Pairs {
					pairs = append(pairs, p.A.Kernel+" = "+p.B.Kernel)
				}
				got = strings.Join(pairs, ", ")
				for _, n := range c.OnlyA {
					got += "; only A " + n
				}
				for _, n := range c.OnlyB {
					got += "; only B " + n
				}
			}
			if !strings.HasPrefix(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	other := now
	other.Kernels = slices.Clone(now.Kernels)
	other.Kernels[0].Name, other.Kernels[0].Spec = "x", "dir:x"
	if _, err := compare.Of(whole(old), whole(other), compare.Options{}); err == nil || !strings.Contains(err.Error(), "give the pairs with --pair A=B") {
		t.Errorf("nothing in common: got %v, want give the pairs with --pair A=B", err)
	}
}

// Cells with different accelerators are compared on request.
func TestAccelerators(t *testing.T) {
	tcg, kvm := demo.Run(), demo.Run()
	for i := range kvm.Cells {
		kvm.Cells[i].Accel = "kvm"
	}
	c := of(t, whole(tcg), whole(kvm), compare.Options{})
	if p := c.Pairs[0]; p.Compared != 0 || len(p.Left) != 15 || p.Left[0].Why != "different accelerators: tcg in A, kvm in B" || c.ExitCode() != 3 {
		t.Errorf("got %+v, exit code %d; want 15 left out for their accelerators, exit code 3", p, c.ExitCode())
	}
	c = of(t, whole(tcg), whole(kvm), compare.Options{AnyAccel: true})
	if p := c.Pairs[0]; p.Compared != 15 || len(p.Left)+len(p.Differences) > 0 || c.ExitCode() != 0 {
		t.Errorf("got %+v, exit code %d; want 15 compared without a difference, exit code 0", p, c.ExitCode())
	}
}

// Another version of Faultline may do other steps in a scenario and record other
// witnesses: the kernel is not the cause of either.
func TestVersions(t *testing.T) {
	old, now := demo.Run(), demo.Run()
	now.Tool.Version = "0.2.0"
	for i := range now.Cells {
		c := &now.Cells[i]
		c.Witnesses = map[string]string{"badblocks": c.Witnesses["badblocks"], "taint": "none"}
		if c.Scenario == "dax/ext4/pread" {
			c.Steps = append([]observe.Step{{Actor: "agent", Action: "drop caches"}}, c.Steps...)
		}
	}
	c := of(t, whole(old), whole(now), compare.Options{})
	p := c.Pairs[0]
	if c.ExitCode() != 3 {
		t.Errorf("different steps: got exit code %d, want 3", c.ExitCode())
	}
	want := []compare.Left{{Scenario: "dax/ext4/pread", Why: "its steps are not the same in both versions of Faultline", Infra: true}}
	if diff := cmp.Diff(want, p.Left); diff != "" || p.Compared != 14 || len(p.Differences) > 0 || !slices.Equal(p.Unrecorded, []string{"log", "taint"}) {
		t.Errorf("got %+v, want 14 compared, no difference, log and taint unrecorded; left out (-want +got):\n%s", p, diff)
	}
	// Of the same version that is a finding.
	now.Tool.Version = old.Tool.Version
	if c := of(t, whole(old), whole(now), compare.Options{}); c.ExitCode() != 1 {
		t.Error("different steps of the same version are not a difference")
	}
}

// A change that a user declares explains, from either record or from a file.
func TestDeclared(t *testing.T) {
	every := demo.Every()
	a, b := every["as expected"], every["unexplained difference"]
	mine := change.List{{ID: "mine", Subject: "moves a block", Witnesses: []change.WitnessEffect{{Scenarios: "dax/ext4/pread", Witness: "badblocks", Before: "32 8", After: "40 8"}}}}
	if c := of(t, whole(a), whole(b), compare.Options{Changes: mine}); c.ExitCode() != 0 || differences(c)[0].ExplainedBy != "mine" {
		t.Errorf("got exit code %d, differences %+v; want 0, explained by mine", c.ExitCode(), differences(c))
	}
	b.Changes = mine
	if c := of(t, whole(a), whole(b), compare.Options{}); c.ExitCode() != 0 {
		t.Errorf("got exit code %d, want 0: %+v", c.ExitCode(), differences(c))
	}
	if c := of(t, whole(a), whole(b), compare.Options{Changes: change.List{}}); c.ExitCode() != 1 {
		t.Errorf("got exit code %d, want 1: %+v", c.ExitCode(), differences(c))
	}
}

func TestWrite(t *testing.T) {
	every := demo.Every()
	for name, c := range map[string]compare.Comparison{
		"kernels": of(t, kernel(every["troubled"], "6.1"), kernel(every["troubled"], "6.12"), compare.Options{}),
		"runs":    of(t, whole(every["as expected"]), whole(every["interrupted"]), compare.Options{}),
	} {
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; run go test -update", err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s differs; look at it, then run go test -update (-want +got):\n%s", path, diff)
		}
	}
	var b bytes.Buffer
	hostile := every["hostile"]
	if err := of(t, kernel(hostile, hostile.Kernels[0].Name), kernel(hostile, hostile.Kernels[1].Name), compare.Options{}).Write(&b); err != nil {
		t.Fatal(err)
	}
	demo.Inert(t, b.String())
}
