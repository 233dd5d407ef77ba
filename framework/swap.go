package framework

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Swap is a device that the guest's kernel swaps to.
type Swap struct{ Device Device }

// Swap makes the kernel swap to the first bytes of a device, as its only swap. Persistent
// memory is read and written synchronously.
func (g *Guest) Swap(ctx context.Context, d Device, bytes int64) *Swap {
	g.Unmount(ctx, d)
	path := "/dev/" + d.Disk
	g.WriteFile(ctx, path, string(swapHeader(d.PageBytes(), bytes)))
	g.callOK(ctx, "swapon", path, 0)
	record(g.rec, "agent", fmt.Sprintf("swap to %d bytes of %s", bytes, d.Name), observe.Outcome{}, "")
	return &Swap{d}
}

// SwapOff removes the swap (swapoff(2)), which first reads its pages back.
func (g *Guest) SwapOff(ctx context.Context, s *Swap) *Observation {
	wired, _ := wireArgs([]any{"/dev/" + s.Device.Disk})
	called := g.call(ctx, &wire.Request{Syscall: &wire.Syscall{Name: "swapoff", Args: wired}}).Called
	o := observe.Outcome{Errno: called.Errno}
	if called.Errno == "" {
		o.Ret = &called.Ret
	}
	return record(g.rec, "agent", "swapoff "+s.Device.Name, o, "")
}

// swapHeader returns the first page of a swap device (union swap_header in
// include/linux/swap.h), as mkswap(8) writes it.
func swapHeader(page, bytes int64) []byte {
	const version, lastPage, magic = 1024, 1028, "SWAPSPACE2"
	h := make([]byte, page)
	binary.LittleEndian.PutUint32(h[version:], 1)
	binary.LittleEndian.PutUint32(h[lastPage:], uint32(bytes/page-1))
	copy(h[page-int64(len(magic)):], magic)
	return h
}

// Slot is the place of a victim's page on a swap device.
type Slot struct {
	swap   *Swap
	offset int64 // bytes into the device
	name   string
}

// SwapSlot returns the place of a page that was swapped out.
func (v *Victim) SwapSlot(ctx context.Context, s *Swap, a Addr) Slot {
	entry := v.pagemap(ctx, a)
	if entry>>62 != 1 {
		v.g.fail(fmt.Errorf("%s of %s is not swapped out (page map %#x)", a, v.Role, entry))
	}
	// Bits 54:5 are the offset in pages (Documentation/admin-guide/mm/pagemap.rst).
	return Slot{s, int64(entry>>5&(1<<50-1)) * s.Device.PageBytes(), "swap of " + a.String()}
}

// Blocks implements inject.Located.
func (s Slot) Blocks(offset, n int64) (inject.Blocks, error) {
	b, err := s.swap.Device.Blocks(s.offset+offset, n)
	b.Name = s.name
	return b, err
}

// PageBytes implements inject.Located.
func (s Slot) PageBytes() int64 { return s.swap.Device.PageBytes() }
