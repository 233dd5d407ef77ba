package generated

import (
	"golang.org/x/sys/unix"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/guest/wire"
)

// step is how an operation is carried out. do returns nil if nothing was done, because the
// page was not present.
type step struct {
	do    func(s *state) *Observation
	needs []Trait
}

// operations are the operations, by their names.
var operations = map[string]step{
	"badblock": {do: func(s *state) *Observation {
		if s.swap != nil {
			if s.v.Present(s.ctx, s.at).Note != "swap entry" {
				return nil
			}
			return s.g.InjectMayFail(s.ctx, inject.BadBlock(s.v.SwapSlot(s.ctx, s.swap, s.page), 0))
		}
		return s.g.InjectMayFail(s.ctx, inject.BadBlock(s.f, Page(bad)))
	}},
	"poison":       advice(MADV_HWPOISON),
	"soft-offline": advice(MADV_SOFT_OFFLINE, Needs("MIGRATION")),
	"corrupt-pfn": {do: func(s *state) *Observation {
		if !s.found() {
			return nil
		}
		return s.g.InjectMayFail(s.ctx, inject.CorruptPFN(s.frame, inject.Filter{}))
	}, needs: []Trait{Needs("HWPOISON_INJECT")}},
	"hard-offline":     framed(inject.HardOffline),
	"soft-offline-pfn": framed(inject.SoftOffline, Needs("MIGRATION")),
	"consume": {do: func(s *state) *Observation {
		if !s.found() {
			return nil
		}
		consumed := s.v.Consume(s.ctx, inject.SRAR(), s.at)
		if s.mount != nil && s.listed() && !consumed.Panicked() && !consumed.Hung() {
			s.g.AwaitBadBlocks(s.ctx, s.mount.Device)
		}
		return consumed
	}},
	"unpoison": {do: func(s *state) *Observation {
		if !s.injected {
			return nil
		}
		return s.g.InjectMayFail(s.ctx, inject.UnpoisonPFN(s.frame))
	}, needs: []Trait{Needs("HWPOISON_INJECT")}},

	"load":       {do: func(s *state) *Observation { return s.who.Load(s.ctx, s.where) }},
	"store":      {do: func(s *state) *Observation { return s.who.Store(s.ctx, s.where) }},
	"load-next":  {do: func(s *state) *Observation { return s.v.Load(s.ctx, s.next) }},
	"store-next": {do: func(s *state) *Observation { return s.v.Store(s.ctx, s.next) }},
	"fork": {do: func(s *state) *Observation {
		s.child = s.v.Fork(s.ctx, "child")
		return nil
	}},

	"dontneed":       advice(MADV_DONTNEED),
	"free":           advice(MADV_FREE),
	"willneed":       advice(unix.MADV_WILLNEED),
	"cold":           advice(unix.MADV_COLD),
	"pageout":        advice(MADV_PAGEOUT),
	"populate-read":  advice(MADV_POPULATE_READ),
	"populate-write": advice(MADV_POPULATE_WRITE),
	"collapse": {do: func(s *state) *Observation {
		return s.v.Madvise(s.ctx, s.m.At(0), s.m.Bytes, MADV_COLLAPSE)
	}},
	"remove": advice(unix.MADV_REMOVE),
	"guard":  advice(MADV_GUARD_INSTALL),
	"mlock":  {do: func(s *state) *Observation { return s.v.Syscall(s.ctx, "mlock", s.page, PageBytes()) }},
	"mprotect": {do: func(s *state) *Observation {
		s.v.Syscall(s.ctx, "mprotect", s.page, PageBytes(), unix.PROT_NONE)
		return s.v.Syscall(s.ctx, "mprotect", s.page, PageBytes(), unix.PROT_READ|unix.PROT_WRITE)
	}},
	"mremap": {do: func(s *state) *Observation {
		to := s.v.MapAnonymous(s.ctx, PageBytes(), 0)
		moved := s.v.MoveTo(s.ctx, s.page, PageBytes(), to)
		if moved.Errno == "" {
			s.page, s.at = to.At(0), to.At(inside)
		}
		return moved
	}},
	"mincore": {do: func(s *state) *Observation { return s.v.InCore(s.ctx, s.page) }},
	"move-pages": {do: func(s *state) *Observation {
		return s.v.Node(s.ctx, s.page)
	}, needs: []Trait{Needs("NUMA", "MIGRATION")}},
	"pagemap": {do: func(s *state) *Observation { return s.v.Present(s.ctx, s.at) }},

	"write-from": {do: func(s *state) *Observation {
		_, w := s.v.Pipe(s.ctx)
		return s.v.Syscall(s.ctx, "write", w, s.page, 8)
	}},
	"read-into": {do: func(s *state) *Observation {
		r, w := s.v.Pipe(s.ctx)
		s.v.Syscall(s.ctx, "write", w, []byte("12345678"), 8)
		return s.v.Syscall(s.ctx, "read", r, s.page, 8)
	}},
	"vmsplice": {do: func(s *state) *Observation {
		_, w := s.v.Pipe(s.ctx)
		return s.v.Syscall(s.ctx, "vmsplice", w, Vec(s.page, 8), 1, 0)
	}},
	"process-read": {do: func(s *state) *Observation {
		reader := s.g.VictimAs(s.ctx, "reader", wire.Handle)
		to := reader.MapAnonymous(s.ctx, PageBytes(), 0)
		return reader.Syscall(s.ctx, "process_vm_readv", s.v, Vec(to.At(0), 8), 1, Vec(s.page, 8), 1, 0)
	}},

	"pread": {do: func(s *state) *Observation {
		return s.who.Pread(s.ctx, s.file(), PageBytes(), Page(bad))
	}},
	"pwrite":      {do: func(s *state) *Observation { return s.v.Pwrite(s.ctx, s.file(), PageBytes(), Page(bad)) }},
	"pwrite-part": {do: func(s *state) *Observation { return s.v.Pwrite(s.ctx, s.file(), 512, Page(bad)) }},
	"msync":       {do: func(s *state) *Observation { return s.v.Msync(s.ctx, s.page, PageBytes()) }},
	"fsync":       {do: func(s *state) *Observation { return s.v.Syscall(s.ctx, "fsync", s.m.FD()) }},
	"punch": {do: func(s *state) *Observation {
		return s.v.Syscall(s.ctx, "fallocate", s.m.FD(), punch, Page(bad), PageBytes())
	}},
	"punch-part": {do: func(s *state) *Observation {
		return s.v.Syscall(s.ctx, "fallocate", s.m.FD(), punch, Page(bad), int64(512))
	}},
	"truncate": {do: func(s *state) *Observation {
		return s.v.Syscall(s.ctx, "ftruncate", s.m.FD(), Page(bad))
	}},
	"truncate-part": {do: func(s *state) *Observation {
		return s.v.Syscall(s.ctx, "ftruncate", s.m.FD(), Page(bad)+int64(512))
	}},
	"sendfile": {do: func(s *state) *Observation {
		_, w := s.v.Pipe(s.ctx)
		s.v.Syscall(s.ctx, "lseek", s.m.FD(), Page(bad), 0)
		return s.v.Syscall(s.ctx, "sendfile", w, s.m.FD(), 0, PageBytes())
	}},
}

const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE

// listed reports whether the page's frame is on the device, whose bad blocks then list it: a
// hole of a file is mapped to a page of zeros.
func (s *state) listed() bool {
	d := s.mount.Device
	return s.frame.Addr >= d.Physical && s.frame.Addr < d.Physical+uint64(d.Bytes)
}

// file returns the file descriptor of the process that takes the step.
func (s *state) file() FD {
	if s.who == s.second {
		return s.other.FD()
	}
	return s.m.FD()
}

// advice returns an operation that gives advice on the page.
func advice(n int, needs ...Trait) step {
	return step{do: func(s *state) *Observation {
		return s.v.Madvise(s.ctx, s.page, PageBytes(), n)
	}, needs: needs}
}

// framed returns an injection into the page's frame.
func framed(of func(inject.Frame) inject.Injection, needs ...Trait) step {
	return step{do: func(s *state) *Observation {
		if !s.found() {
			return nil
		}
		return s.g.InjectMayFail(s.ctx, of(s.frame))
	}, needs: needs}
}
