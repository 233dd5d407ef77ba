// Package inject holds ways to make memory or a block bad. An injection is a
// value that says in words what it does; the framework applies and records it.
// The package asserts nothing: whether poison was noticed is for witnesses and
// scenarios to tell.
package inject

import (
	"context"
	"fmt"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Guest is what an injection needs of a guest.
type Guest interface {
	Call(context.Context, *wire.Request) (*wire.Reply, error)
	Monitor() *qemu.Monitor
}

// Injection is one way to poison one thing.
type Injection struct {
	// Action says what it does, in canonical words: "badblock pmem nfit, 8 sectors at file+0x4000".
	Action string
	// Module is the kernel module that it needs; empty for none.
	Module string
	// Memory says that it poisons memory, not only blocks.
	Memory bool
	// Apply does it. The outcome is what whoever injected was told; an error is
	// trouble with the rig.
	Apply func(context.Context, Guest) (observe.Outcome, error)
}

// Blocks are sectors of a disk.
type Blocks struct {
	Disk   string // "pmem0"
	Sector int64  // 512 bytes each, from the disk's start
	Count  int64
	Name   string // canonical: "file+0x4000"
}

// Located is something that lies on a disk; Blocks says where n bytes from an
// offset on are.
type Located interface {
	Blocks(offset, n int64) (Blocks, error)
	// PageBytes is the size of a page of the kernel that has the disk.
	PageBytes() int64
}

const sectorBytes = 512

// BadBlock tells the kernel that a page of something is bad, by its disk's
// badblocks file (badblocks_store in block/badblocks.c). Mapped pages stay
// mapped; the next fault or system call meets it.
func BadBlock(at Located, offset int64) Injection {
	return BadSectors(at, offset, at.PageBytes()/sectorBytes)
}

// BadSectors is BadBlock for so many sectors of 512 bytes.
func BadSectors(at Located, offset, sectors int64) Injection {
	b, err := at.Blocks(offset, sectors*sectorBytes)
	return Injection{
		Action: fmt.Sprintf("badblock %s, %d sectors", b.Name, sectors),
		Apply: func(ctx context.Context, g Guest) (observe.Outcome, error) {
			if err != nil {
				return observe.Outcome{}, err
			}
			path := "/sys/block/" + b.Disk + "/badblocks"
			reply, err := g.Call(ctx, &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: fmt.Appendf(nil, "%d %d", b.Sector, b.Count)}})
			if err != nil {
				return observe.Outcome{}, err
			}
			return observe.Outcome{Errno: reply.File.Errno}, nil
		},
	}
}
