package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/run/suite"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/images"
)

// blkZeroOut is the ioctl BLKZEROOUT (include/uapi/linux/fs.h).
const blkZeroOut = 0x127f

// BigBlocks makes an XFS with blocks of that many bytes on the NFIT device with XFS, and
// mounts it without dax. It skips the scenario on kernels that mount only blocks of at most
// a page, as all did before v6.12.
func (g *Guest) BigBlocks(ctx context.Context, blockBytes int) *Mount {
	d := g.Pmem(ctx, NFIT, XFS)
	g.Unmount(ctx, d)
	g.files = slices.DeleteFunc(g.files, func(f vm.File) bool { return f.Disk == d.Disk })
	image, err := suite.Current().Pmem(ctx, images.PmemSpec{
		FS: images.XFS, Size: images.MinXFS + 4*MiB, Label: "big-blocks", BlockSize: blockBytes,
	})
	if err != nil {
		g.fail(err)
	}
	defer image.Close()
	if err := g.write(ctx, image.Path, d, int64(blockBytes)); err != nil {
		g.fail(fmt.Errorf("write a file system to %s: %w", d.Name, err))
	}
	record(g.rec, "agent", fmt.Sprintf("make an XFS with blocks of %d KiB on %s", blockBytes/KiB, d.Name),
		observe.Outcome{}, "")
	d.bigBlocks = true
	return g.Mount(ctx, d, "")
}

// write writes the file system in an image to a device: the blocks that are not zero, and
// zeros where the log is. What the device has elsewhere is not part of the file system.
func (g *Guest) write(ctx context.Context, path string, d Device, block int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	start, length, err := images.Log(f)
	if err != nil {
		return err
	}
	fd := g.callOK(ctx, "openat", unix.AT_FDCWD, "/dev/"+d.Disk, unix.O_RDWR|unix.O_CLOEXEC, 0).Ret
	zero := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(start)), uint64(length))
	g.callOK(ctx, "ioctl", fd, blkZeroOut, zero)
	for at := int64(0); ; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO { // there is only a hole left
			break
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		data -= data % block // an image leaves out pages of zeros, also within a block
		at = min((hole+block-1)/block*block, data+wire.MaxData)
		part := make([]byte, at-data)
		if _, err := f.ReadAt(part, data); err != nil && err != io.EOF {
			return err
		}
		if wrote := g.callOK(ctx, "pwrite64", fd, part, at-data, data).Ret; wrote != at-data {
			return fmt.Errorf("wrote %d of %d bytes", wrote, at-data)
		}
	}
	g.callOK(ctx, "fsync", fd)
	g.callOK(ctx, "close", fd)
	return nil
}
