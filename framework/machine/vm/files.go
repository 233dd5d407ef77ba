package vm

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// File is a file that is there before a scenario begins: to make one, sync it and
// look where its blocks are takes a third of what a scenario's guest does.
type File struct {
	Disk string
	wire.MakeFile
	Extents []wire.Extent
}

// usual are the kinds of files that scenarios ask for, but for their paths.
var usual = []wire.MakeFile{
	{Size: 64 << 10, Layout: wire.Written},
	{Size: 64 << 10, Layout: wire.Unwritten},
	{Size: 2 << 20, Layout: wire.Written, Align: 2 << 20},
	{Size: 2 << 20, Layout: wire.Unwritten, Align: 2 << 20},
	{Size: 4 << 10, Layout: wire.Written},
}

// makeFiles makes a file of each usual kind on a disk that is mounted. One that the
// kernel can't make is made by the scenario that asks for it, and tells it why.
func (g *Guest) makeFiles(ctx context.Context, d wire.Device) error {
	for i, f := range usual {
		f.Path, f.Base = fmt.Sprintf("%s/made%d", MountDir(d.Name), i), int64(d.Resource)+d.DataOffset
		reply, err := g.agent.call(ctx, &wire.Request{MakeFile: &f})
		if errors.Is(err, ErrGuest) {
			continue
		}
		if err != nil {
			return err
		}
		g.Files = append(g.Files, File{d.Name, f, reply.Made.Extents})
	}
	return g.settle(ctx, MountDir(d.Name))
}

// mountQuietly mounts a disk with -o dax so that the file system does nothing by
// itself later: writes no time at which a file was read, and, where it knows that
// option (v5.13), has no thread look at ext4's block bitmaps ahead.
func (g *Guest) mountQuietly(ctx context.Context, disk, dir, fs string) (mounted *wire.SyscallReply, err error) {
	options := []string{"dax"}
	if fs == "ext4" {
		options = []string{"dax,no_prefetch_block_bitmaps", "dax"}
	}
	for _, o := range options {
		mounted, err = g.syscall(ctx, "mount", wire.Arg{Str: "/dev/" + disk}, wire.Arg{Str: dir}, wire.Arg{Str: fs}, wire.Arg{Int: unix.MS_NOATIME}, wire.Arg{Str: o})
		if err != nil || mounted.Errno == "" {
			break
		}
	}
	return mounted, err
}

// Of include/uapi/linux/fs.h.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// settle has a file system write all it has in memory to where it belongs
// (FIFREEZE, and FITHAW): XFS does so in its own time otherwise, in every clone.
func (g *Guest) settle(ctx context.Context, dir string) error {
	opened, err := g.syscall(ctx, "openat", wire.Arg{Int: unix.AT_FDCWD}, wire.Arg{Str: dir}, wire.Arg{Int: unix.O_RDONLY})
	if err != nil || opened.Errno != "" {
		return err
	}
	fd := wire.Arg{Int: opened.Ret}
	for _, request := range []int64{fiFreeze, fiThaw} {
		if _, err := g.syscall(ctx, "ioctl", fd, wire.Arg{Int: request}); err != nil {
			return err
		}
	}
	_, err = g.syscall(ctx, "close", fd)
	return err
}

// rehearse does once what most scenarios do, to nobody: folders that the kernel
// looks up, and memory that agent and kernel take, for the first time they take
// before the guest is frozen, and not in every clone.
func (g *Guest) rehearse(ctx context.Context) error {
	spawned, err := g.agent.call(ctx, &wire.Request{Spawn: &wire.Spawn{}})
	if err != nil {
		return err
	}
	victim := spawned.Spawned.Victim
	// Not a file on persistent memory: after that, clones of 6.12 that ran out of memory
	// reclaimed for ever and killed nobody (hostile/out-of-memory, each time); why is not
	// known.
	mapped, err := g.agent.call(ctx, &wire.Request{To: victim, Map: &wire.Map{Path: agentPath, Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED}})
	if err != nil {
		return err
	}
	if _, err := g.agent.call(ctx, &wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: mapped.Mapped.Addr, Width: 1}}); err != nil {
		return err
	}
	for _, disk := range g.Mounted {
		if _, err := g.agent.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/sys/block/" + disk + "/badblocks"}}); err != nil {
			return err
		}
	}
	_, err = g.agent.call(ctx, &wire.Request{Wait: &wire.Wait{Victim: victim, Kill: true}})
	return err
}
