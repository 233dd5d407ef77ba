package judge

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
)

const dax = "dax_fault_hwpoison" // in v6.5 and later

// payload returns a SIGBUS whose raw bytes have addr as the address.
func payload(code int32, lsb int16, addr byte) observe.Signal {
	raw := make([]byte, 128)
	raw[0], raw[8], raw[18], raw[24] = 7, byte(code), addr, byte(lsb)
	name := map[int32]string{2: "BUS_ADRERR", 4: "BUS_MCEERR_AR", 5: "BUS_MCEERR_AO"}[code]
	return observe.Signal{Signo: 7, Name: "SIGBUS", Code: code, CodeName: name, Addr: "file+0x4005", LSB: lsb, Raw: hex.EncodeToString(raw)}
}

func signalled(s observe.Signal) observe.Outcome {
	return observe.Outcome{Signals: []observe.Signal{s}}
}

func adrerr() observe.Outcome { return signalled(payload(2, 0, 1)) }
func mceerr() observe.Outcome { return signalled(payload(4, 12, 1)) }

// step returns one that depends on a change and showed a side of it.
func step(change string, side observe.Side, o observe.Outcome) observe.Step {
	return observe.Step{Actor: "victim", Action: "load", Outcome: o, Expected: &observe.Expectation{
		Change: change, Before: "old", After: "new", Side: side, Met: side != observe.Neither && side != observe.Partly,
	}}
}

// always returns a step with an outcome that every kernel must have.
func always(o observe.Outcome) observe.Step {
	return observe.Step{Actor: "victim", Action: "load", Outcome: o, Expected: &observe.Expectation{After: "new", Side: observe.Both, Met: true}}
}

func cell(kernel, scenario string, steps ...observe.Step) observe.Cell {
	c := observe.Cell{Scenario: scenario, Kernel: kernel, Accel: "tcg", Verdict: observe.Expected, Steps: steps}
	for _, s := range steps {
		if s.Expected != nil && !s.Expected.Met {
			c.Verdict, c.Message = observe.Unexpected, "as Gomega words it"
		}
	}
	return c
}

// before and after return cells that show the two sides of dax_fault_hwpoison.
func before(kernel, scenario string) observe.Cell {
	return cell(kernel, scenario, step(dax, observe.Before, adrerr()))
}
func after(kernel, scenario string) observe.Cell {
	return cell(kernel, scenario, step(dax, observe.After, mceerr()))
}

// hidden returns the cell of a kernel without MEMORY_FAILURE.
func hidden(kernel, scenario string) observe.Cell {
	c := before(kernel, scenario)
	c.Steps[0].Expected.Hidden = "MEMORY_FAILURE"
	return c
}

func with[T any](c T, f func(*T)) T {
	f(&c)
	return c
}

// saw adds witnesses to a cell: alternating names and values.
func saw(c observe.Cell, witnesses ...string) observe.Cell {
	c.Witnesses = map[string]string{}
	for i := 0; i < len(witnesses); i += 2 {
		c.Witnesses[witnesses[i]] = witnesses[i+1]
	}
	return c
}

func accel(c observe.Cell, name string) observe.Cell {
	c.Accel = name
	return c
}

func attempt(n int, c observe.Cell) observe.Cell {
	c.Attempt = n
	return c
}

func infra(c observe.Cell) observe.Cell {
	c.Verdict, c.Message = observe.Infra, "no answer"
	return c
}

// kernel returns one with that release (uname -r); "" is an unknown one.
func kernel(name, release string) Kernel {
	return NewKernel(name, "", release, nil)
}

func claiming(k Kernel, id string, has bool) Kernel {
	k.Claims = map[string]bool{id: has}
	return k
}

// differences returns them in the form of the tables below.
func differences(diffs []conclusion.Difference) []string {
	var out []string
	for _, d := range diffs {
		s := d.Field + " " + d.A + " -> " + d.B
		if d.ExplainedBy != "" {
			s += " by " + d.ExplainedBy
		}
		if d.Lost {
			s += " LOST"
		}
		out = append(out, s)
	}
	return out
}

func found(findings []conclusion.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, string(f.Kind)+" "+strings.Join(f.Kernels, ",")+" "+f.Change+": "+f.Message)
	}
	return out
}

// words returns the texts of a kernel's states.
func words(states []conclusion.ChangeState) []string {
	var out []string
	for _, s := range states {
		out = append(out, s.String())
	}
	return out
}

// same compares a list with the wanted one.
func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func ptr[T any](v T) *T { return &v }

// The tables below rely on these releases of the changes.
func TestFixtureKnowsTheChanges(t *testing.T) {
	for id, since := range map[string]string{
		dax: "v6.5", "counted_by_action": "v5.19", "kill_early_on_consumption": "v5.12", "copy_from_user_quiet": "v5.16",
		"copy_user_highpage_mc": "v6.2", "dax_recovery_write": "v5.19",
	} {
		if c, err := change.All().ByID(id); err != nil || c.Since != since {
			t.Errorf("%s: got since %q, error %v; want %q", id, c.Since, err, since)
		}
	}
}

// machineChecked adds a machine check to a cell.
func machineChecked(c observe.Cell) observe.Cell {
	c.Steps = append(c.Steps, observe.Step{Actor: "host", Action: "machine check SRAR at file+0x4000, as victim accesses it"})
	return c
}
