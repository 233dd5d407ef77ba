package klog

import (
	"slices"
	"testing"
)

// The function of a WARN is found for any message, file, condition and process in its
// first line, and for any place where the processor trapped.
func TestWarningsAreFound(t *testing.T) {
	const registers = "\nModules linked in: nd_pmem\nCPU: 1 UID: 0 PID: 233 Comm: agent Tainted: G        W           6.19.0 #1 PREEMPT(lazy)\n" +
		"Tainted: [W]=WARN\nHardware name: QEMU Standard PC\nRIP: 0010:"
	const real = registers + "nd_real+0x1f/0x40 [nd_pmem]\nCode: 90\nCall Trace:\n <TASK>\n nd_caller+0x1/0x2 [nd_pmem]"
	for name, log := range map[string]string{
		// A program chooses the name of its process, of 15 bytes.
		"a process called like a place":          "WARNING: drivers/nvdimm/pmem.c:431 at nd_real+0x1/0x2 [nd_pmem], CPU#1: at evil+0x1/233" + real,
		"the same, without a function":           "WARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: at evil+0x1/233" + real,
		"the same, without a file":               "WARNING: at 0x0, CPU#1: at x.c:7 f+0x1/233" + real,
		"a process called like an address":       "WARNING: drivers/nvdimm/pmem.c:431 at nd_real+0x1/0x2 [nd_pmem], CPU#1: at 0x0, CPU#1/233" + real,
		"a process with spaces":                  "WARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: my prog 2/233" + real,
		"stopped in the trampoline":              "WARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: agent/233" + registers + "__WARN_trap+0x5/0x20\nCall Trace:\n <TASK>\n nd_real+0x1f/0x40 [nd_pmem]",
		"the trampoline's name":                  "WARNING: drivers/nvdimm/pmem.c:431 at __WARN_trap+0x5/0x20, CPU#1: agent/233" + registers + "__WARN_trap+0x5/0x20\nCall Trace:\n <TASK>\n nd_real+0x1f/0x40",
		"a message that begins as a warning":     "------------[ cut here ]------------\nWARNING: cookie jar 3 is empty\nWARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: agent/233" + real,
		"a message of three lines":               "------------[ cut here ]------------\nnd_pmem: lost\nBytes 0x10\n\nWARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: agent/233" + real,
		"a condition":                            "WARNING: [(nd_count(nd) < 2 && at_end)] drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: agent/233" + real,
		"a condition that has the word":          "WARNING: [look at (nd)] drivers/nvdimm/pmem.c:431 at nd_real+0x1f/0x40, CPU#1: agent/233" + real,
		"an address of a module without symbols": "WARNING: drivers/nvdimm/pmem.c:431 at 0xffffffffc0201234, CPU#1: kworker/u8:2/12" + real,
		"in an interrupt":                        "WARNING: kernel/time/x.c:43 at 0x0, CPU#1: swapper/1/0" + registers + "nd_real+0x1f/0x40\nCall Trace:\n <IRQ>\n nd_caller+0x1/0x2\n </IRQ>",
	} {
		if got := Splats(stamped(log)); !slices.Equal(got, []string{"WARNING in nd_real"}) {
			t.Errorf("%s: got %q, want WARNING in nd_real", name, got)
		}
	}
}
