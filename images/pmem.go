package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/faultline/faultline/internal/cache"
)

// FS is the file system of a pmem image.
type FS string

const (
	None FS = "" // zeros
	Ext4 FS = "ext4"
	XFS  FS = "xfs"
)

// PmemMode is the layout of a pmem image.
type PmemMode string

const (
	// Raw has the data at byte 0, for nd_e820 (memmap=) and virtio-pmem, where
	// the kernel always creates struct pages. An nvdimm in raw mode has no struct
	// pages, and so no DAX.
	Raw PmemMode = ""
	// FSDAX begins with an nd_pfn info block: the nvdimm is in fsdax mode, and its
	// struct pages are in the device, before the data.
	FSDAX PmemMode = "fsdax"
)

// MinXFS is the minimum size of a file system for mkfs.xfs 6.0 and later, in bytes
// (validate_supported in xfsprogs' mkfs/xfs_mkfs.c).
const MinXFS = 300 << 20

// PmemSpec describes the contents of a guest's persistent memory. The zero value, apart
// from Size, is an empty raw device.
type PmemSpec struct {
	FS   FS
	Mode PmemMode
	// Size is the size of the whole device in bytes, a multiple of 2 MiB.
	Size int64
	// Label is the label of the file system (at most 12 bytes, XFS's limit). It also
	// determines the UUIDs: two devices in one guest need different labels, because
	// XFS refuses to mount the same UUID twice.
	Label string
	// Reflink is for XFS only. Kernels before 6.0 refuse DAX on a reflink file
	// system (xfs_fs_fill_super), so it is off by default.
	Reflink bool
	// RMapBT is for XFS only: the reverse map with which kernels since 6.0 find the
	// owners of a poisoned block (xfs_dax_notify_failure).
	RMapBT bool
	// BlockSize is for XFS only: the size of a block in bytes, 0 for 4096. Kernels before
	// 6.12 mount only blocks of at most a page.
	BlockSize int
}

// Pmem is a pmem image.
type Pmem struct {
	Image
	Spec PmemSpec
	// DataOffset is the offset of the file system in bytes from the device's
	// start: guest physical address = device base + DataOffset + FIEMAP's
	// fe_physical.
	DataOffset int64
}

// pmemFormat is part of the key: raise it when the same spec gives different bytes.
const pmemFormat = "pmem 1"

// MakePmem returns the image for spec, a sparse file, from the cache if possible.
// The same spec and version of mkfs give the same bytes. The error is an
// *execx.MissingError if mkfs is not installed.
func MakePmem(ctx context.Context, c *cache.Cache, spec PmemSpec) (*Pmem, error) {
	p, err := makePmem(ctx, c, spec)
	if err != nil {
		return nil, fmt.Errorf(
			"pmem image (%s %s): %w",
			orDefault(string(spec.Mode), "raw"),
			orDefault(string(spec.FS), "empty"),
			err,
		)
	}
	return p, nil
}

func makePmem(ctx context.Context, c *cache.Cache, spec PmemSpec) (*Pmem, error) {
	off, err := spec.check()
	if err != nil {
		return nil, err
	}
	parts := []string{pmemFormat, string(spec.FS), string(spec.Mode), strconv.FormatInt(spec.Size, 10), spec.Label,
		strconv.FormatBool(spec.Reflink), strconv.FormatBool(spec.RMapBT)}
	if spec.BlockSize != 0 {
		parts = append(parts, strconv.Itoa(spec.BlockSize))
	}
	ids := parts // UUIDs depend on the spec only, not on the version of mkfs
	var mk mkfs
	if spec.FS != None {
		if mk, err = findMkfs(ctx, spec); err != nil {
			return nil, err
		}
		parts = append(parts, mk.version)
	}
	key := cache.Key(parts...)
	const name = "pmem.img"
	e, err := c.GetChecked(ctx, "pmem", key, func(ctx context.Context, dir string) error {
		return spec.write(ctx, filepath.Join(dir, name), off, mk, ids)
	})
	if err != nil {
		return nil, err
	}
	return &Pmem{Image: *newImage(e, key, name), Spec: spec, DataOffset: off}, nil
}

// check checks the spec, and returns the offset of its data.
func (s PmemSpec) check() (offset int64, err error) {
	switch s.Mode {
	case FSDAX:
		if offset, err = dataOffset(s.Size); err != nil {
			return 0, err
		}
	case Raw:
		if s.Size <= 0 || s.Size%pmemAlign != 0 {
			return 0, fmt.Errorf("size of %d bytes: not a multiple of 2 MiB", s.Size)
		}
	default:
		return 0, fmt.Errorf("unknown mode %q", s.Mode)
	}
	if len(s.Label) > 12 {
		return 0, fmt.Errorf("label %q: longer than 12 bytes", s.Label)
	}
	if s.FS != XFS && (s.Reflink || s.RMapBT || s.BlockSize != 0) {
		return 0, errors.New("reflink, rmapbt and a block size: supported by xfs only")
	}
	switch s.FS {
	case None, Ext4:
	case XFS:
		if n := s.Size - offset; n < MinXFS {
			return 0, fmt.Errorf("xfs needs %d bytes, a device of %d bytes leaves %d; use 320 MiB or more", MinXFS, s.Size, n)
		}
	default:
		return 0, fmt.Errorf("unknown file system %q", s.FS)
	}
	return offset, nil
}

func (s PmemSpec) write(ctx context.Context, name string, offset int64, mk mkfs, ids []string) (err error) {
	out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	if err := out.Truncate(s.Size); err != nil {
		return err
	}
	if s.Mode == FSDAX {
		info, err := newPFNInfo(s.Size, uuidFor("pfn", ids...))
		if err != nil {
			return err
		}
		if _, err := out.WriteAt(info.Encode(), pfnInfoOffset); err != nil {
			return err
		}
	}
	if s.FS == None {
		return nil
	}
	// mkfs.xfs can't write at an offset, and both tools write pages of zeros: format
	// a separate file and copy the pages that are not zero.
	tmp := name + ".fs"
	defer os.Remove(tmp)
	if err := mk.format(ctx, tmp, s.Size-offset, uuidFor("fs", ids...)); err != nil {
		return err
	}
	return copyNonZero(ctx, out, offset, tmp)
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
