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

// lineBytes is a cache line, the unit in which memory is poisoned.
const lineBytes = 64

// line is a cache line that is poisoned: each read of it, by whatever mapping,
// raises the machine check, until it is overwritten as a whole.
type line struct {
	watched
	check inject.MachineCheck
	frame uint64          // its guest physical address
	virt  map[uint64]bool // where it is watched: addresses of its first byte
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
	// The direct map lies at one of the two without KASLR, which the guest does without.
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

// in is where a mapping would have the line, if it is one of the same file.
func (l *line) in(m *Mapping) []uint64 {
	offset := l.at.m.from + l.at.offset - m.from
	if offset < 0 || offset >= m.Bytes {
		return nil
	}
	return []uint64{m.Addr + uint64(offset)}
}

// watch sets watchpoints at addresses of a line; hit passes over what
// other address spaces have there. There is one watchpoint for each byte, because QEMU
// reports the watchpoint, not where the access began.
func (w *watcher) watch(ctx context.Context, l *line, where []uint64) error {
	for _, virt := range where {
		virt &^= lineBytes - 1
		if l.virt[virt] {
			continue
		}
		l.virt[virt] = true
		// QEMU checks the last one set first: it reports the first byte of an access.
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

// clean takes a line's watchpoints away.
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

// watchMapping watches a poisoned line in a mapping that was made after it.
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

// hit deals with an access to an address of a line.
func (w *watcher) hit(ctx context.Context, stop gdb.Stop) error {
	virt := stop.Addr &^ (lineBytes - 1)
	for _, l := range w.lines {
		if !l.virt[virt] {
			continue
		}
		// The address means something else to other processes.
		frame, err := w.physical(ctx, stop.CPU, stop.Addr)
		if err != nil { // unmapped since the access, it may have been the line
			return fmt.Errorf("which memory was accessed at %#x: %w", stop.Addr, err)
		}
		if frame&^(lineBytes-1) != l.frame {
			continue
		}
		if stop.Access == gdb.Write {
			return w.wrote(ctx, stop)
		}
		if l.raised.Load() == 0 && virt != l.watched.virt&^(lineBytes-1) {
			return fmt.Errorf("%s was read at %#x before %s read it at %#x", l.name, stop.Addr, l.by, l.watched.virt)
		}
		again, err := setBack(ctx, w.stub, stop.CPU, stop.Addr)
		if err != nil || again {
			return err
		}
		if err := l.check.Raise(ctx, w.g.vm, stop.CPU, l.watched.frame.Addr); err != nil {
			return err
		}
		if l.raised.Add(1) == 1 {
			close(l.reached)
		}
		return nil
	}
	return nil
}

// wrote takes into account what an access wrote to lines: QEMU stops once for all that
// it wrote. Once that is all of a line, the line is poisoned no more.
func (w *watcher) wrote(ctx context.Context, stop gdb.Stop) error {
	after, code, err := stopped(ctx, w.stub, stop.CPU)
	if err != nil {
		return err
	}
	began, end, err := rewind.Wrote(code, after, stop.Addr)
	if err != nil {
		return fmt.Errorf("how much of a poisoned line was overwritten: RIP %#x, code % x: %w", after.RIP, code, err)
	}
	for _, l := range slices.Clone(w.lines) {
		for virt := range l.virt {
			from, to := max(began, virt), min(end, virt+lineBytes)
			if from >= to {
				continue
			}
			frame, err := w.physical(ctx, stop.CPU, virt)
			if err != nil {
				return fmt.Errorf("which memory was written at %#x: %w", virt, err)
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
