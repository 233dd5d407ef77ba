package generated

import (
	. "github.com/faultline/faultline/framework"
)

// setup makes the memory of a place.
type setup struct {
	needs []Trait
	do    func(s *state)
}

// setups are those of each place, by its name.
var setups = map[string]setup{
	"anon": {nil, func(s *state) { s.m = s.v.MapAnonymous(s.ctx, 64*KiB, 0) }},
	"thp": {[]Trait{Needs("TRANSPARENT_HUGEPAGE")}, func(s *state) {
		s.g.TransparentHugePages(s.ctx)
		s.m = s.v.MapAnonymous(s.ctx, HugePageBytes(), 0)
		s.v.Madvise(s.ctx, s.m.At(0), HugePageBytes(), MADV_HUGEPAGE)
	}},
	"ksm": {[]Trait{Needs("KSM")}, func(s *state) {
		s.m = s.v.MapAnonymous(s.ctx, 64*KiB, 0)
		s.v.Madvise(s.ctx, s.m.At(0), 64*KiB, MADV_MERGEABLE)
		s.v.Store(s.ctx, s.m.At(Page(bad)+inside))
		s.v.Store(s.ctx, s.m.At(Page(bad+1)+inside))
		s.g.MergePages(s.ctx)
	}},
	"swapped": {[]Trait{Needs("SWAP"), NeedsDisk(NFIT, Ext4)}, func(s *state) {
		s.swap = s.g.Swap(s.ctx, s.g.Pmem(s.ctx, NFIT, Ext4), 128*KiB)
		s.m = s.v.MapAnonymous(s.ctx, 64*KiB, 0)
		s.v.Store(s.ctx, s.m.At(Page(bad)+inside))
		s.v.Madvise(s.ctx, s.m.At(Page(bad)), PageBytes(), MADV_PAGEOUT)
	}},
	"hugetlb": {[]Trait{Needs("HUGETLBFS")}, func(s *state) {
		s.g.HugePages(s.ctx, 2)
		s.m = s.v.MapAnonymous(s.ctx, HugePageBytes(), HugeTLB)
	}},
	"hugetlbfs-shared":  {[]Trait{Needs("HUGETLBFS")}, hugeFile(Shared)},
	"hugetlbfs-private": {[]Trait{Needs("HUGETLBFS")}, hugeFile(Private)},
	"tmpfs-shared": {[]Trait{Needs("TMPFS")}, func(s *state) {
		s.f = s.g.TmpfsFile(s.ctx, 64*KiB)
		s.m = s.v.Map(s.ctx, s.f, Shared)
	}},
	"tmpfs-private": {[]Trait{Needs("TMPFS")}, func(s *state) {
		s.f = s.g.TmpfsFile(s.ctx, 64*KiB)
		s.m = s.v.Map(s.ctx, s.f, Private)
	}},
	"tmpfs-huge": {[]Trait{Needs("TMPFS", "TRANSPARENT_HUGEPAGE")}, func(s *state) {
		s.f = s.g.HugeTmpfsFile(s.ctx, HugePageBytes())
		s.m = s.v.Map(s.ctx, s.f, Shared)
	}},
	"cache-ext4-shared":   {[]Trait{NeedsDisk(NFIT, Ext4)}, pageCache(Ext4, Shared)},
	"cache-ext4-private":  {[]Trait{NeedsDisk(NFIT, Ext4)}, pageCache(Ext4, Private)},
	"cache-xfs-shared":    {[]Trait{NeedsDisk(NFIT, XFS)}, pageCache(XFS, Shared)},
	"cache-xfs-private":   {[]Trait{NeedsDisk(NFIT, XFS)}, pageCache(XFS, Private)},
	"dax-ext4-shared":     {[]Trait{NeedsDAX(NFIT, Ext4)}, onDAX(Ext4, Shared)},
	"dax-ext4-private":    {[]Trait{NeedsDAX(NFIT, Ext4)}, onDAX(Ext4, Private)},
	"dax-ext4-sync":       {[]Trait{NeedsDAX(NFIT, Ext4)}, onDAX(Ext4, Sync)},
	"dax-ext4-huge":       {[]Trait{NeedsDAX(NFIT, Ext4), NeedsHugeDAX()}, hugeDAX(Ext4)},
	"dax-ext4-unwritten":  {[]Trait{NeedsDAX(NFIT, Ext4)}, onDAX(Ext4, Shared, Unwritten())},
	"dax-xfs-shared":      {[]Trait{NeedsDAX(NFIT, XFS)}, onDAX(XFS, Shared)},
	"dax-xfs-private":     {[]Trait{NeedsDAX(NFIT, XFS)}, onDAX(XFS, Private)},
	"dax-xfs-huge":        {[]Trait{NeedsDAX(NFIT, XFS), NeedsHugeDAX()}, hugeDAX(XFS)},
	"dax-reflink-shared":  {[]Trait{NeedsDAX(NFIT, XFSReflink)}, onDAX(XFSReflink, Shared)},
	"dax-reflink-private": {[]Trait{NeedsDAX(NFIT, XFSReflink)}, onDAX(XFSReflink, Private)},
	"dax-e820-shared":     {[]Trait{NeedsDAX(E820, Ext4)}, providedBy(E820)},
	"dax-virtio-shared":   {[]Trait{NeedsDAX(Virtio, Ext4)}, providedBy(Virtio)},
	"device-dax": {[]Trait{NeedsDeviceDAX()}, func(s *state) {
		s.f = s.g.DeviceDAX(s.ctx, HugePageBytes())
		s.m = s.v.MapPart(s.ctx, s.f, 0, HugePageBytes(), Shared)
	}},
}

func hugeFile(flags MapFlags) func(*state) {
	return func(s *state) {
		s.g.HugePages(s.ctx, 2)
		s.f = s.g.HugeFile(s.ctx, HugePageBytes())
		s.m = s.v.Map(s.ctx, s.f, flags)
	}
}

func pageCache(fs FS, flags MapFlags) func(*state) {
	return func(s *state) {
		s.f = s.g.PageCache(s.ctx, fs).File(s.ctx, 64*KiB)
		s.m = s.v.Map(s.ctx, s.f, flags)
	}
}

func onDAX(fs FS, flags MapFlags, options ...FileOption) func(*state) {
	return func(s *state) {
		s.mount = s.g.DAX(s.ctx, fs)
		s.f = s.mount.File(s.ctx, 64*KiB, options...)
		s.m = s.v.Map(s.ctx, s.f, flags)
	}
}

func hugeDAX(fs FS) func(*state) {
	return func(s *state) {
		s.mount = s.g.DAX(s.ctx, fs)
		s.f = s.mount.File(s.ctx, 2*MiB, HugeAligned())
		s.m = s.v.Map(s.ctx, s.f, Shared)
	}
}

func providedBy(p Provider) func(*state) {
	return func(s *state) {
		s.f = s.g.Mount(s.ctx, s.g.Pmem(s.ctx, p, Ext4), "dax").File(s.ctx, 64*KiB)
		s.m = s.v.Map(s.ctx, s.f, Shared)
	}
}
