package backport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

const (
	dax    = "dax_fault_hwpoison"
	folios = "dax_folios"
	read   = "dax/ext4/shared-read"
	write  = "dax/ext4/shared-write"
	twice  = "dax/ext4/shared-read-twice"
	ucna   = "mce/ext4/ucna"
	pread  = "dax/ext4/pread" // covers only half of the change
	other  = "syscalls/x/other"
	killed = "dax/x/killed" // one in whose log the change is seen

	wanted  = "SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005"
	killing = "MCE: Killing victim due to hardware memory corruption fault at N"
)

func payload(code int32, name string, lsb int16) observe.Outcome {
	return observe.Outcome{Signals: []observe.Signal{{Signo: 7, Name: "SIGBUS", Code: code, CodeName: name, Addr: "file+0x4005", LSB: lsb}}}
}

func adrerr() observe.Outcome { return payload(2, "BUS_ADRERR", 0) }
func mceerr() observe.Outcome { return payload(4, "BUS_MCEERR_AR", 12) }
func errno(name string) observe.Outcome {
	return observe.Outcome{Errno: name}
}

// follow returns a step that depends on a change.
func follow(id string, side observe.Side, o observe.Outcome) observe.Step {
	return observe.Step{Actor: "victim", Action: "load", Outcome: o, Expected: &observe.Expectation{
		Change: id, Before: "SIGBUS BUS_ADRERR", After: wanted, Side: side, Met: side != observe.Neither,
	}}
}

func before() observe.Step { return follow(dax, observe.Before, adrerr()) }
func after() observe.Step  { return follow(dax, observe.After, mceerr()) }
func neither(o observe.Outcome) observe.Step {
	return follow(dax, observe.Neither, o)
}

// always returns a step that must be the same on every kernel, met or not.
func always(o observe.Outcome, want string) observe.Step {
	e := &observe.Expectation{After: want, Side: observe.Both, Met: o.String() == want}
	if !e.Met {
		e.Side = observe.Neither
	}
	return observe.Step{Actor: "victim", Action: "pread", Outcome: o, Expected: e}
}

// part returns a pread with EIO unless the kernel has half of the change.
func part(name string) observe.Step {
	s := always(errno(name), "EIO")
	if s.Expected.PartOf, s.Expected.Part = dax, "EFAULT"; name == "EFAULT" {
		s.Expected.Side = observe.Partly
	}
	return s
}

func hidden() observe.Step {
	s := before()
	s.Expected.Hidden = "MEMORY_FAILURE"
	return s
}

// saw returns a cell with steps; record sets its kernel.
func saw(scenario string, steps ...observe.Step) observe.Cell {
	c := observe.Cell{Scenario: scenario, Accel: "tcg", Verdict: observe.Expected, Steps: steps}
	for _, s := range steps {
		if s.Expected != nil && !s.Expected.Met {
			c.Verdict = observe.Unexpected
		}
	}
	return c
}

// said adds witnesses to a cell: alternating names and values.
func said(c observe.Cell, words ...string) observe.Cell {
	c.Witnesses = map[string]string{}
	for i := 0; i < len(words); i += 2 {
		c.Witnesses[words[i]] = words[i+1]
	}
	return c
}

func unjudged(v observe.Verdict, scenario, why string) observe.Cell {
	return observe.Cell{Scenario: scenario, Accel: "tcg", Verdict: v, Message: why, ConsoleTail: "the end of " + scenario}
}

func alter[T any](v T, f func(*T)) T {
	f(&v)
	return v
}

var began = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// record returns a run of base and patched, and of a reference where it has cells.
func record(base, patched, reference []observe.Cell) *results.Run {
	r := &results.Run{Started: began, Finished: began, Accel: "tcg"}
	for _, k := range []struct {
		results.Kernel
		cells []observe.Cell
	}{
		{results.Kernel{Name: "base", Version: "6.1.192", Release: "6.1.192", BootMillis: 2000}, base},
		{results.Kernel{Name: "patched", Version: "6.1.191", Release: "6.1.191", BootMillis: 2000}, patched},
		{results.Kernel{Name: "reference", Version: "6.12.117", Release: "6.12.117+deb12-amd64", BootMillis: 2000}, reference},
	} {
		if k.cells == nil {
			continue
		}
		r.Kernels = append(r.Kernels, k.Kernel)
		for _, c := range k.cells {
			c.Kernel, c.Started = k.Name, began
			r.Cells = append(r.Cells, c)
			known := false
			for _, s := range r.Scenarios {
				known = known || s.ID == c.Scenario
			}
			if !known {
				r.Scenarios = append(r.Scenarios, results.Scenario{ID: c.Scenario})
			}
		}
	}
	judge.Run(r)
	return r
}

func cells(c ...observe.Cell) []observe.Cell { return c }

// ask asks of a record; it has a reference where one of its kernels is.
func ask(r *results.Run, id string) Verdict {
	q := Question{Base: "base", Patched: "patched", Change: id}
	if _, ok := r.Kernel("reference"); ok {
		q.Reference = "reference"
	}
	return Of(r, q)
}

// lines returns all of a verdict, in the form of the tables.
func lines(v Verdict) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	var kinds []string
	for _, k := range v.Kinds {
		kinds = append(kinds, string(k))
	}
	add("%s, exit %d", strings.Join(kinds, " and "), v.ExitCode())
	pairs := func(list []Pair) (out []string) {
		for _, p := range list {
			text := p.From + " " + p.To
			if p.Want != "" {
				text += ", expected " + p.Want
			}
			out = append(out, "{"+text+"}")
		}
		return out
	}
	for _, c := range v.Flipped {
		add("flipped %s %v", c.Scenario, pairs(c.Pairs))
	}
	for _, c := range v.Missing {
		add("missing %s %s %v", c.Scenario, c.Why, pairs(c.Pairs))
	}
	if v.Already > 0 {
		add("already %d", v.Already)
	}
	list := func(what string, moved []Moved) {
		for _, m := range moved {
			var fields []string
			for _, d := range m.Fields {
				fields = append(fields, d.Field)
			}
			add("%s %s [%s | %s] %v by %v, unexplained %t", what, m.Scenario, m.A, m.B, fields, m.By, m.Unexplained)
		}
	}
	list("moved", v.Moved)
	if v.Appeared != nil || v.Vanished != nil {
		add("appeared %v, vanished %v", v.Appeared, v.Vanished)
	}
	for _, u := range v.Unjudged {
		add("unjudged %s on %s: %s (infra %t)", u.Scenario, u.Kernel, u.Why, u.Infra)
	}
	if a := v.Against; a != nil {
		add("reference %s (%t), %d alike", a.State, a.Has, a.Alike)
		list("reference differs", a.Moved)
		for _, u := range a.Unjudged {
			add("reference unjudged %s on %s: %s (infra %t)", u.Scenario, u.Kernel, u.Why, u.Infra)
		}
	}
	return out
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
