package framework

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/kcore"
	"github.com/faultline/faultline/framework/record/observe"
)

// structPages maps the address of the direct map to that of the struct pages, on x86-64
// without KASLR: with four levels of page tables and with five
// (Documentation/arch/x86/x86_64/mm.rst).
var structPages = map[uint64]uint64{kcore.Base4: 0xffffea0000000000, kcore.Base5: 0xffd4000000000000}

// HWPoison records whether a page has the flag PG_hwpoison. It reads the kernel's memory,
// because /proc/kpageflags does not contain pages of persistent memory.
func (g *Guest) HWPoison(ctx context.Context, f inject.Frame) *Observation {
	const notes = 64 * KiB
	core := []byte(g.readPart(ctx, "/proc/kcore", 0, notes))
	var values [3]uint64
	for i, name := range []string{"NUMBER(PG_hwpoison)", "SIZE(page)", "OFFSET(page.flags)"} {
		var err error
		if values[i], err = kcore.VMCoreInfo(core, name); err != nil {
			g.fail(&unsupported{fmt.Sprintf("/proc/kcore of this kernel does not show where the flags of a page are: %v", err)})
		}
	}
	bit, size, offset := values[0], values[1], values[2]
	base, known := structPages[g.directMap(ctx)]
	if !known {
		g.fail(
			&unsupported{
				fmt.Sprintf(
					"where this kernel has its struct pages is not known: it maps physical memory at %#x",
					g.directMap(ctx),
				),
			},
		)
	}
	at := base + f.Addr/f.Page*size + offset
	output, err := g.Monitor().HMP(ctx, fmt.Sprintf("x /1gx %#x", at))
	if err != nil {
		g.ended(fmt.Errorf("read the struct page of %s: %w", f.Name, err))
	}
	flags, err := word64(output)
	if err != nil {
		g.fail(fmt.Errorf("read the struct page of %s at %#x: %w", f.Name, at, err))
	}
	note := "no hwpoison"
	if flags>>bit&1 != 0 {
		note = "hwpoison"
	}
	return record(g.rec, "agent", "flags of the struct page of "+f.Name, observe.Outcome{Note: note}, "")
}

var printed = regexp.MustCompile(`^[0-9a-f]{16}: 0x([0-9a-f]{16})\s*$`)

// word64 parses the word that the monitor's command x printed.
func word64(output string) (uint64, error) {
	m := printed.FindStringSubmatch(output)
	if m == nil {
		return 0, fmt.Errorf("unexpected output of QEMU: %.80q", output)
	}
	return strconv.ParseUint(m[1], 16, 64)
}
