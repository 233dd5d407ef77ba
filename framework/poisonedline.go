package framework

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/machine/gdb"
	"github.com/faultline/faultline/framework/machine/kcore"
	"github.com/faultline/faultline/framework/machine/rewind"
)

// lineBytes is the size of a cache line, the unit in which memory is poisoned.
const lineBytes = 64

// line is a poisoned cache line: each read of it, through any mapping, raises the machine
// check, until the whole line is overwritten.
type line struct {
	watched
	check inject.MachineCheck
	frame uint64          // its guest physical address
	virt  map[uint64]bool // virtual addresses of its first byte that are watched
	// written has a bit for each byte that was written since the line was poisoned.
	written uint64
	reached chan struct{} // closed at the first machine check
	raised  atomic.Int64
}

// poison poisons the line of a byte.
func (w *watcher) poison(ctx context.Context, check inject.MachineCheck, at watched) (*line, error) {
	l := &line{
		watched: at, check: check, frame: at.frame.Addr &^ (lineBytes - 1),
		virt: map[uint64]bool{}, reached: make(chan struct{}),
	}
	// Without KASLR, which is disabled in guests, the direct map is at one of these two.
	where := []uint64{at.virt, kcore.Base4 + at.frame.Addr, kcore.Base5 + at.frame.Addr}
	for _, v := range w.g.victims {
		for _, m := range v.maps {
			where = append(where, l.in(m)...)
		}
	}
	return l, w.halted(ctx, func(ctx context.Context) error {
		w.lines = append(w.lines, l)
		return w.watch(ctx, l, where)
	})
}

// in returns the address of the line in a mapping, if that maps the same file.
func (l *line) in(m *Mapping) []uint64 {
	offset := l.at.m.from + l.at.offset - m.from
	if offset < 0 || offset >= m.Bytes {
		return nil
	}
	return []uint64{m.Addr + uint64(offset)}
}

// watch sets watchpoints at addresses of a line; hit ignores accesses in other address
// spaces. There is one watchpoint for each byte, because QEMU reports the watchpoint, not
// the start of the access.
func (w *watcher) watch(ctx context.Context, l *line, where []uint64) error {
	for _, virt := range where {
		virt &^= lineBytes - 1
		if l.virt[virt] {
			continue
		}
		l.virt[virt] = true
		// QEMU checks the most recent watchpoint first, so it reports an access's first
		// byte.
		for i := uint64(lineBytes); i > 0; i-- {
			for _, access := range []gdb.Access{gdb.Write, gdb.Read} {
				if err := w.stub.Watch(ctx, access, virt+i-1, 1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// clean removes a line's watchpoints.
func (w *watcher) clean(ctx context.Context, l *line) error {
	for virt := range l.virt {
		for i := range uint64(lineBytes) {
			for _, access := range []gdb.Access{gdb.Write, gdb.Read} {
				if err := w.stub.Unwatch(ctx, access, virt+i, 1); err != nil {
					return err
				}
			}
		}
	}
	w.lines = slices.DeleteFunc(w.lines, func(other *line) bool { return other == l })
	return nil
}

// watchMapping watches the poisoned lines in a mapping that was made after them.
func (g *Guest) watchMapping(ctx context.Context, m *Mapping) {
	w := g.watcher
	if w == nil {
		return
	}
	err := w.halted(ctx, func(ctx context.Context) error {
		for _, l := range w.lines {
			if err := w.watch(ctx, l, l.in(m)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !lost(err) {
		g.fail(fmt.Errorf("watch poisoned memory in %s: %w", m.Name, err))
	}
}

// hit handles an access to an address of a line.
func (w *watcher) hit(ctx context.Context, stop gdb.Stop) error {
	virt := stop.Addr &^ (lineBytes - 1)
	for _, l := range w.lines {
		if !l.virt[virt] {
			continue
		}
		// Other processes may map other memory at that address.
		frame, err := w.physical(ctx, stop.CPU, stop.Addr)
		if err != nil { // unmapped since the access, which may have been to the line
			return fmt.Errorf("translate %#x, which was accessed: %w", stop.Addr, err)
		}
		if frame&^(lineBytes-1) != l.frame {
			continue
		}
		if stop.Access == gdb.Write {
			return w.wrote(ctx, stop)
		}
		if l.raised.Load() == 0 && virt != l.watched.virt&^(lineBytes-1) {
			return fmt.Errorf(
				"%s was read at %#x before the expected read by %s at %#x",
				l.name,
				stop.Addr,
				l.by,
				l.watched.virt,
			)
		}
		again, err := setBack(ctx, w.stub, stop.CPU, stop.Addr)
		if err != nil || again {
			return err
		}
		reported := l.watched.frame
		if l.reports != nil {
			reported = *l.reports
		}
		if err := l.check.Raise(ctx, w.g.vm, stop.CPU, reported.Addr); err != nil {
			return err
		}
		if l.raised.Add(1) == 1 {
			close(l.reached)
		}
		if l.reports != nil { // the accessed page itself is good
			return w.clean(ctx, l)
		}
		return nil
	}
	return nil
}

// wrote records the bytes of lines that an access wrote: QEMU stops once for all bytes of
// an access. When the whole line has been written, it is no longer poisoned.
func (w *watcher) wrote(ctx context.Context, stop gdb.Stop) error {
	after, code, err := stopped(ctx, w.stub, stop.CPU)
	if err != nil {
		return err
	}
	began, end, err := rewind.Wrote(code, after, stop.Addr)
	if err != nil {
		return fmt.Errorf("find the written bytes of a poisoned line: RIP %#x, code % x: %w", after.RIP, code, err)
	}
	for _, l := range slices.Clone(w.lines) {
		for virt := range l.virt {
			from, to := max(began, virt), min(end, virt+lineBytes)
			if from >= to {
				continue
			}
			frame, err := w.physical(ctx, stop.CPU, virt)
			if err != nil {
				return fmt.Errorf("translate %#x, which was written: %w", virt, err)
			}
			if frame != l.frame {
				continue
			}
			for i := from - virt; i < to-virt; i++ {
				l.written |= 1 << i
			}
		}
		if l.written == 1<<lineBytes-1 {
			if err := w.clean(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}
