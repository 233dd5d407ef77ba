// Package inject provides ways to poison memory and to make blocks bad:
//
//   - [BadBlock] adds sectors to a disk's list of bad blocks.
//   - [CorruptPFN], [HardOffline] and [SoftOffline] call the kernel's handling of memory
//     errors for a page, through the kernel's own interfaces.
//   - [MachineCheck] raises a machine check in QEMU: [SRAR], [SRAO] and [UCNA] return the
//     known kinds. [MachineCheck.At] returns an [Injection] that needs no access. An SRAR
//     is consumed by an access: see Consume in package framework.
//
// An [Injection] is a value. Guest.Inject of package framework applies and records it.
// Figures, tables and sections are those of the Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 3B, in editions where "Machine-Check Architecture" is chapter 15
// (it is chapter 16 in later ones).
//
// The package does not check what an injection causes; scenarios and witnesses do.
package inject

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Guest is the part of a guest that an injection uses.
type Guest interface {
	Call(context.Context, *wire.Request) (*wire.Reply, error)
	Monitor() *qemu.Monitor
}

// Injection is one way to poison one thing.
type Injection struct {
	// Action is its canonical text: "badblock file+0x4000, 8 sectors".
	Action string
	// Module is the kernel module that it needs; empty for none.
	Module string
	// Memory is set if it poisons memory, not only blocks.
	Memory bool
	// Apply injects. The outcome is what the injector gets from the kernel; an error is
	// an infrastructure failure.
	Apply func(context.Context, Guest) (observe.Outcome, error)
}

// Blocks are sectors of a disk.
type Blocks struct {
	Disk   string // "pmem0"
	Sector int64  // 512 bytes each, from the disk's start
	Count  int64
	Name   string // canonical: "file+0x4000"
}

// Located is something that is stored on a disk, such as a file.
type Located interface {
	// Blocks returns the sectors of n bytes from an offset on.
	Blocks(offset, n int64) (Blocks, error)
	// PageBytes returns the page size of the guest's kernel.
	PageBytes() int64
}

const sectorBytes = 512

// BadBlock marks the sectors of the page at offset as bad in the disk's badblocks file
// (badblocks_store in block/badblocks.c). Mapped pages stay mapped; the next fault or
// system call finds the bad block.
func BadBlock(at Located, offset int64) Injection {
	return BadSectors(at, offset, at.PageBytes()/sectorBytes)
}

// BadSectorsApart marks every second sector as bad, n in all, from offset on, so that each is
// a range of its own. It ends at the first error.
func BadSectorsApart(at Located, offset int64, n int) Injection {
	b, err := at.Blocks(offset, 2*int64(n)*sectorBytes)
	return Injection{
		Action: fmt.Sprintf("badblock %s, every second sector, %d in all", b.Name, n),
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			for i := int64(0); i < int64(n) && err == nil; i++ {
				var o observe.Outcome
				if o, err = set(ctx, g, b.Disk, b.Sector+2*i, 1); o.Errno != "" {
					return o, err
				}
			}
			return observe.Outcome{}, err
		},
	}
}

// BadSectors is like BadBlock, for a number of sectors of 512 bytes from offset on.
func BadSectors(at Located, offset, sectors int64) Injection {
	b, err := at.Blocks(offset, sectors*sectorBytes)
	return Injection{
		Action: fmt.Sprintf("badblock %s, %d sectors", b.Name, sectors),
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			if err != nil {
				return observe.Outcome{}, err
			}
			return set(ctx, g, b.Disk, b.Sector, b.Count)
		},
	}
}

// set adds a range of sectors to a disk's badblocks file.
func set(ctx context.Context, g Guest, disk string, sector, count int64) (observe.Outcome, error) {
	reply, err := g.Call(ctx, &wire.Request{WriteFile: &wire.WriteFile{
		Path: "/sys/block/" + disk + "/badblocks", Data: fmt.Appendf(nil, "%d %d", sector, count),
	}})
	if err != nil {
		return observe.Outcome{}, err
	}
	return observe.Outcome{Errno: reply.File.Errno}, nil
}
