package framework

import (
	"context"
	"fmt"
	"slices"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// File is a file of the guest.
type File struct {
	g       *Guest
	Mount   *Mount
	Path    string        // in the guest
	Name    string        // canonical: "file"
	Bytes   int64         // its size
	Extents []wire.Extent // where it is on the device, in the file's order
}

// FileOption changes how a file is made.
type FileOption func(*wire.MakeFile)

// Unwritten makes a file whose blocks are allocated but unwritten.
func Unwritten() FileOption { return func(f *wire.MakeFile) { f.Layout = wire.Unwritten } }

// HugeAligned makes a file that huge pages can map: its first block lies at a multiple of
// 2 MiB in guest physical memory.
func HugeAligned() FileOption { return func(f *wire.MakeFile) { f.Align = 2 * MiB } }

// File makes a file. By default all its blocks are written (each byte of page n is
// Filled(n)) and synced, and no cache contains them.
func (m *Mount) File(ctx context.Context, bytes int64, options ...FileOption) *File {
	f := &File{g: m.g, Mount: m, Name: m.g.unique("file"), Bytes: bytes}
	f.Path = m.Dir + "/" + f.Name
	req := &wire.MakeFile{Path: f.Path, Size: bytes, Layout: wire.Written, Base: int64(m.Device.Physical)}
	for _, o := range options {
		o(req)
	}
	if there := m.g.takeFile(m.Device.Disk, *req); there != nil && m.Dir == vm.MountDir(there.Disk) {
		m.g.paths[there.Path] = f.Path
		f.Path, f.Extents = there.Path, there.Extents
	} else {
		f.Extents = m.g.call(ctx, &wire.Request{MakeFile: req}).Made.Extents
	}
	action := fmt.Sprintf("make %s, %d bytes, %s", f.Name, bytes, req.Layout)
	if req.Align != 0 {
		action += fmt.Sprintf(", aligned to %d KiB", req.Align/KiB)
	}
	record(m.g.rec, "agent", action, observe.Outcome{}, "")
	return f
}

// takeFile takes one of the files that the template prepared, if it matches the request;
// nil if none does.
func (g *Guest) takeFile(disk string, want wire.MakeFile) *vm.File {
	i := slices.IndexFunc(g.files, func(f vm.File) bool {
		kind := f.MakeFile
		kind.Path = want.Path
		return f.Disk == disk && kind == want
	})
	if i < 0 {
		return nil
	}
	there := g.files[i]
	g.files = slices.Delete(g.files, i, i+1)
	return &there
}

// Filled returns the value of every byte of page n of a written file.
func Filled(n int64) byte { return wire.Fill(n) }

// Blocks returns the sectors of n bytes of the file (FIEMAP). It implements
// inject.Located.
func (f *File) Blocks(offset, n int64) (inject.Blocks, error) {
	for _, e := range f.Extents {
		if offset >= e.Logical && offset+n <= e.Logical+e.Length {
			return inject.Blocks{
				Disk: f.Mount.Device.noted(), Sector: (e.Physical + offset - e.Logical) / 512, Count: n / 512,
				Name: fmt.Sprintf("%s+%#x", f.Name, offset),
			}, nil
		}
	}
	return inject.Blocks{}, fmt.Errorf(
		"%s: bytes %d to %d are not within one extent: %+v",
		f.Name,
		offset,
		offset+n,
		f.Extents,
	)
}

// PageBytes implements inject.Located.
func (f *File) PageBytes() int64 { return int64(f.g.page) }

// Frame returns the guest physical address of a byte of a file on persistent memory. The
// file need not be mapped.
func (f *File) Frame(offset int64) inject.Frame {
	b, err := f.Blocks(offset, f.PageBytes())
	if err != nil {
		f.g.fail(err)
	}
	frame := inject.Frame{Addr: f.Mount.Device.Physical + uint64(b.Sector*512), Page: f.g.page, Name: b.Name}
	f.g.note(watched{name: frame.Name, frame: frame})
	return frame
}
