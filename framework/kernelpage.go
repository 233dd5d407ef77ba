package framework

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/faultline/faultline/framework/inject"
)

// KernelPage is a kind of page that belongs to the kernel, by its bit in /proc/kpageflags
// (Documentation/admin-guide/mm/pagemap.rst).
type KernelPage int

const (
	SlabPage      KernelPage = 7  // KPF_SLAB
	PageTablePage KernelPage = 26 // KPF_PGTABLE
)

func (k KernelPage) String() string {
	if k == SlabPage {
		return "a slab page"
	}
	return "a page table"
}

// KernelPage returns the first page of that kind that is not part of a larger one. It
// records nothing.
func (g *Guest) KernelPage(ctx context.Context, kind KernelPage) inject.Frame {
	const (
		part          = 64 * KiB // bytes in one request, 8 for each page
		compound      = 3 << 15  // KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL
		firstMegabyte = 256      // pages of the firmware
		none          = ^uint64(0)
	)
	found := none
	for at := int64(firstMegabyte * 8); found == none; at += part {
		flags := []byte(g.readPart(ctx, "/proc/kpageflags", at, part))
		for i := 0; i+8 <= len(flags) && found == none; i += 8 {
			if f := binary.LittleEndian.Uint64(flags[i:]); f>>kind&1 != 0 && f&compound == 0 {
				found = uint64(at+int64(i)) / 8
			}
		}
		if len(flags) < part {
			break
		}
	}
	if found == none {
		g.fail(&unsupported{fmt.Sprintf("/proc/kpageflags of this kernel does not show %s", kind)})
	}
	f := inject.Frame{Addr: found * g.page, Page: g.page, Name: kind.String()}
	g.note(watched{name: f.Name, frame: f})
	return f
}
