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
	Path    string
	Name    string // canonical: "file"
	Bytes   int64
	Extents []wire.Extent
}

// FileOption says how a file is made.
type FileOption func(*wire.MakeFile)

// Unwritten makes a file of blocks that are allocated but were never written.
func Unwritten() FileOption { return func(f *wire.MakeFile) { f.Layout = wire.Unwritten } }

// HugeAligned makes a file that 2 MiB pages can map: its first block lies at a
// multiple of 2 MiB in guest physical memory.
func HugeAligned() FileOption { return func(f *wire.MakeFile) { f.Align = 2 * MiB } }

// File makes a file, by default with every block written (page n full of
// Filled(n)), synced, and in no cache.
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

// takeFile takes a file that is there, and is of the kind that is asked for; nil
// where there is none.
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

// Filled is the byte that page n of a written file is full of.
func Filled(n int64) byte { return wire.Fill(n) }

// Blocks says where bytes of the file lie on its disk (FIEMAP).
func (f *File) Blocks(offset, n int64) (inject.Blocks, error) {
	for _, e := range f.Extents {
		if offset >= e.Logical && offset+n <= e.Logical+e.Length {
			return inject.Blocks{
				Disk: f.Mount.Device.noted(), Sector: (e.Physical + offset - e.Logical) / 512, Count: n / 512,
				Name: fmt.Sprintf("%s+%#x", f.Name, offset),
			}, nil
		}
	}
	return inject.Blocks{}, fmt.Errorf("%s has no single extent behind bytes %d to %d: %+v", f.Name, offset, offset+n, f.Extents)
}

// PageBytes implements inject.Located.
func (f *File) PageBytes() int64 { return int64(f.g.page) }

// Frame is a byte of the file in guest physical memory: of a file on persistent
// memory, whatever is mapped.
func (f *File) Frame(offset int64) inject.Frame {
	b, err := f.Blocks(offset, f.PageBytes())
	if err != nil {
		f.g.fail(err)
	}
	frame := inject.Frame{Addr: f.Mount.Device.Physical + uint64(b.Sector*512), Page: f.g.page, Name: b.Name}
	f.g.note(watched{name: frame.Name, frame: frame})
	return frame
}
