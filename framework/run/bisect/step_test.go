package bisect_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/run/bisect"
	"github.com/faultline/faultline/internal/errkind"
)

// The ends of an external bisection must come from this machine and these suites.
// A scenario that ran with different accelerators on them is not compared.
func TestEndsOf(t *testing.T) {
	ends := func() results.Run {
		r := demo.Run()
		r.Host.QEMU, r.Host.CPU, r.Suites = "7.2.22", "one", map[string]string{"dax": "1a", "mce": "2b"}
		return r
	}
	here := bisect.Here{Host: ends().Host, Suites: map[string]string{"dax": "1a"}}
	here.Suites["ram"] = "3c" // of which nothing was observed then
	const one = "dax/ext4/shared-read"
	if e, err := bisect.EndsOf(ends(), []string{one}, here); err != nil || !slices.Equal(e.Scenarios, []string{one}) {
		t.Errorf("got %+v, error %v; want the scenario %s", e, err, one)
	}
	for name, c := range map[string]struct {
		change func(*results.Run, *bisect.Here)
		says   string
	}{
		"another QEMU":        {func(_ *results.Run, h *bisect.Here) { h.Host.QEMU = "10.0.13" }, "QEMU 7.2.22 / 10.0.13"},
		"another suite":       {func(_ *results.Run, h *bisect.Here) { h.Suites["dax"] = "1b" }, "another suite dax (digest 1a, this is 1b)"},
		"no suite":            {func(r *results.Run, _ *bisect.Here) { r.Suites = nil }, "does not record which suites"},
		"another accelerator": {func(r *results.Run, _ *bisect.Here) { accel(r, r.Kernels[1].Name) }, "do not differ in any of the 0 scenarios"},
		"another processor": {func(r *results.Run, h *bisect.Here) {
			accel(r, r.Kernels[0].Name, r.Kernels[1].Name)
			h.Host.CPU = "two"
		}, "processor one / two"},
	} {
		r, h := ends(), here
		h.Suites = maps.Clone(here.Suites)
		c.change(&r, &h)
		if _, err := bisect.EndsOf(r, []string{one}, h); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want a request error with %q", name, err, c.says)
		}
	}
}

// accel has kernels run with KVM.
func accel(r *results.Run, kernels ...string) {
	for i, k := range r.Kernels {
		if slices.Contains(kernels, k.Name) {
			r.Kernels[i].Accel = "kvm"
		}
	}
	for i, c := range r.Cells {
		if slices.Contains(kernels, c.Kernel) {
			r.Cells[i].Accel = "kvm"
		}
	}
}
