package vm

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// File is a file that is prepared before a scenario begins: making a file, syncing it and
// reading its extents takes a third of the time of a scenario's guest.
type File struct {
	Disk string
	wire.MakeFile
	Extents []wire.Extent
}

// usual are the kinds of files that scenarios use, without their paths.
var usual = []wire.MakeFile{
	{Size: 64 << 10, Layout: wire.Written},
	{Size: 64 << 10, Layout: wire.Unwritten},
	{Size: 2 << 20, Layout: wire.Written, Align: 2 << 20},
	{Size: 2 << 20, Layout: wire.Unwritten, Align: 2 << 20},
	{Size: 4 << 10, Layout: wire.Written},
}

// makeFiles makes a file of each usual kind on a mounted disk. A file that the kernel
// cannot make is left to the scenario that uses it, which then gets the error.
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

// mountQuietly mounts a disk with -o dax so that the file system does nothing by itself
// later: it writes no access times, and, from v5.13 on, does not prefetch ext4's block
// bitmaps in a thread.
func (g *Guest) mountQuietly(ctx context.Context, disk, dir, fs string) (mounted *wire.SyscallReply, err error) {
	options := []string{"dax"}
	if fs == "ext4" {
		options = []string{"dax,no_prefetch_block_bitmaps", "dax"}
	}
	for _, o := range options {
		mounted, err = g.syscall(
			ctx,
			"mount",
			wire.Arg{Str: "/dev/" + disk},
			wire.Arg{Str: dir},
			wire.Arg{Str: fs},
			wire.Arg{Int: unix.MS_NOATIME},
			wire.Arg{Str: o},
		)
		if err != nil || mounted.Errno == "" {
			break
		}
	}
	return mounted, err
}

// Ioctls of include/uapi/linux/fs.h.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

// settle makes a file system write all that it has in memory (FIFREEZE and FITHAW);
// otherwise XFS does so asynchronously, in each clone.
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

// rehearse does once what most scenarios do, with a victim of its own, so that the kernel
// looks up folders, and agent and kernel allocate memory, before the guest is frozen and
// not in each clone.
func (g *Guest) rehearse(ctx context.Context) error {
	spawned, err := g.agent.call(ctx, &wire.Request{Spawn: &wire.Spawn{}})
	if err != nil {
		return err
	}
	victim := spawned.Spawned.Victim
	// Not a file on persistent memory: with one, clones of 6.12 that ran out of memory
	// reclaimed for ever and killed no process (hostile/out-of-memory, each time). The
	// cause is not known.
	mapped, err := g.agent.call(
		ctx,
		&wire.Request{
			To:  victim,
			Map: &wire.Map{Path: agentPath, Length: 4096, Prot: unix.PROT_READ, Flags: unix.MAP_SHARED},
		},
	)
	if err != nil {
		return err
	}
	if _, err := g.agent.call(
		ctx,
		&wire.Request{To: victim, Access: &wire.Access{Kind: wire.Load, Addr: mapped.Mapped.Addr, Width: 1}},
	); err != nil {
		return err
	}
	for _, disk := range g.Mounted {
		if _, err := g.agent.call(
			ctx,
			&wire.Request{ReadFile: &wire.ReadFile{Path: "/sys/block/" + disk + "/badblocks"}},
		); err != nil {
			return err
		}
	}
	_, err = g.agent.call(ctx, &wire.Request{Wait: &wire.Wait{Victim: victim, Kill: true}})
	return err
}
