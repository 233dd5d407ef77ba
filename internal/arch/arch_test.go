package arch_test

import (
	"slices"
	"testing"

	"github.com/faultline/faultline/internal/arch"
)

// Each architecture is complete: guests of it can run, or NoGuests has the reason.
func TestRows(t *testing.T) {
	for _, a := range arch.All() {
		if got, err := arch.Named(a.Name); err != nil || got.Name != a.Name {
			t.Errorf("%s: got %s, error %v; want the same", a.Name, got.Name, err)
		}
		for what, set := range map[string]bool{
			"Debian's name": a.Debian != "", "ELF machine": a.Machine != 0, "QEMU": a.QEMU.Binary != "" && a.QEMU.Package != "",
			"machine": a.QEMU.Machine != "", "processor": a.QEMU.CPU != "" && a.QEMU.HostCPU != "", "console": a.Console != "", "image": a.Image != "",
			"page sizes": a.PageShift >= 12,
		} {
			if !set {
				t.Errorf("%s has no %s", a.Name, what)
			}
		}
		if (len(a.Injects) > 0) == (a.NoGuests != "") {
			t.Errorf("%s: Injects is %v, but NoGuests is %q", a.Name, a.Injects, a.NoGuests)
		}
	}
	if _, err := arch.Named("riscv64"); err == nil {
		t.Error("riscv64 is known")
	}
}

func TestPageShiftOf(t *testing.T) {
	with := func(has ...string) func(...string) []string {
		return func(symbols ...string) []string {
			return slices.DeleteFunc(slices.Clone(symbols), func(s string) bool { return slices.Contains(has, s) })
		}
	}
	for _, test := range []struct {
		arch arch.Arch
		has  []string
		want int
	}{{arch.AMD64, nil, 12}, {arch.ARM64, []string{"ARM64_4K_PAGES"}, 12}, {arch.ARM64, []string{"ARM64_16K_PAGES"}, 14}, {arch.ARM64, []string{"ARM64_64K_PAGES"}, 16}} {
		if got := test.arch.PageShiftOf(with(test.has...)); got != test.want {
			t.Errorf("%s with %v: got %d, want %d", test.arch.Name, test.has, got, test.want)
		}
	}
}
