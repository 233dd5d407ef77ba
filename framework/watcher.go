package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/faultline/faultline/framework/gdb"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/kcore"
	"github.com/faultline/faultline/framework/rewind"
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

// watcher owns the gdb stub while the guest runs. It raises the machine check at
// each read of a poisoned line, on the vCPU that reads, which is set back to before
// the read.
//
// Two vCPUs that read a poisoned line at the same moment are one stop: the machine
// check is raised on one of them.
type watcher struct {
	g     *GuestVM
	stub  *gdb.Client
	lines []*line
	asks  chan ask
	stop  context.CancelFunc
	done  chan struct{} // closed when it watches no more, before the guest goes on without it
	err   error         // why; to be read when done is closed
	ended chan struct{} // closed after it let go of the guest

	physical func(ctx context.Context, cpu int, virt uint64) (uint64, error)
}

// ask is something to be done while the guest stands still.
type ask struct {
	do     func(context.Context) error
	answer chan<- error
}

// watching is the scenario's watcher, which is started first.
func (g *GuestVM) watching(ctx context.Context) (*watcher, error) {
	if g.watcher != nil {
		return g.watcher, nil
	}
	limited, cancel := stubTime(ctx)
	defer cancel()
	conn, err := g.vm.DialGDB(limited)
	if err != nil {
		return nil, err
	}
	stub, err := gdb.Attach(limited, conn)
	if err != nil {
		return nil, err
	}
	if err := stub.Continue(limited); err != nil {
		stub.Close()
		return nil, err
	}
	// It outlives the scenario's own time: the guest is asked for witnesses after that.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &watcher{g: g, stub: stub, asks: make(chan ask), stop: stop, done: make(chan struct{}), ended: make(chan struct{}), physical: g.physical}
	go w.watchUntil(running)
	g.watcher = w
	return w, nil
}

// watchUntil watches until ctx ends, or the guest, or something fails.
func (w *watcher) watchUntil(ctx context.Context) {
	defer close(w.ended)
	defer w.stub.Close()
	w.err = w.run(ctx)
	// What the guest does from here on can't be observed as if it had been watched.
	close(w.done)
	// A guest that still runs goes on without watchpoints; it answers, and the
	// error ends the scenario. One that can't go on does not answer, which is found.
	if w.err != nil && !lost(w.err) {
		limited, cancel := stubTime(context.WithoutCancel(ctx))
		defer cancel()
		_ = w.stub.Detach(limited)
	}
}

// stubTime bounds an exchange with the stub.
func stubTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, stubLimit, fmt.Errorf("no answer within %v", stubLimit))
}

// lost reports whether the guest has ended.
func lost(err error) bool { return errors.Is(err, gdb.ErrClosed) || errors.Is(err, gdb.ErrEnded) }

// close ends the watcher. The guest is about to end, too.
func (w *watcher) close() {
	if w == nil {
		return
	}
	w.stop()
	<-w.ended
}

// failed is why the watcher ended, where that is not the guest's end.
func (w *watcher) failed() error {
	if w == nil {
		return nil
	}
	select {
	case <-w.done:
		if w.err != nil && !lost(w.err) {
			return fmt.Errorf("watch poisoned memory: %w", w.err)
		}
	default:
	}
	return nil
}

func (w *watcher) run(ctx context.Context) error {
	for {
		stop, asked, err := w.next(ctx)
		if err == nil && stop.Access != "" {
			err = w.bounded(ctx, func(ctx context.Context) error { return w.hit(ctx, stop) })
		}
		if asked != nil {
			if err == nil {
				asked.answer <- w.bounded(ctx, asked.do)
			} else {
				asked.answer <- err
			}
		}
		// Others who stop the guest have it go on themselves.
		if err == nil && ctx.Err() == nil && (stop.Access != "" || asked != nil) {
			err = w.bounded(ctx, w.stub.Continue)
		}
		if ctx.Err() != nil { // what was under way failed for that
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *watcher) bounded(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := stubTime(ctx)
	defer cancel()
	return do(limited)
}

// next waits until the guest stopped, or must stop for an ask.
func (w *watcher) next(ctx context.Context) (stop gdb.Stop, asked *ask, err error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop, err = w.stub.Wait(waiting)
	}()
	select {
	case <-stopped:
		return stop, nil, err
	case a := <-w.asks:
		cancel()
		<-stopped
		if errors.Is(err, gdb.ErrTimeout) { // it was not hit meanwhile
			err = w.bounded(ctx, func(ctx context.Context) (err error) {
				stop, err = w.stub.Interrupt(ctx)
				return err
			})
		}
		return stop, &a, err
	}
}

// halted does something while the guest stands still. It is for when nobody accesses a
// poisoned line: QEMU forgets a watchpoint that is hit at the moment of an interrupt
// (main_loop_should_exit in softmmu/runstate.c: a guest that is stopped is not stopped
// for a debug request).
func (w *watcher) halted(ctx context.Context, do func(context.Context) error) error {
	answer := make(chan error, 1)
	select {
	case w.asks <- ask{do, answer}:
		return <-answer
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
func (g *GuestVM) watchMapping(ctx context.Context, m *Mapping) {
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

// reach waits until what was started came to the line.
func (w *watcher) reach(ctx context.Context, s *Started, l *line) error {
	where := fmt.Sprintf("%s of %s", l.name, l.by)
	unreached := func(why string) error { return &UnreachedError{s.action, where, why} }
	limited, cancel := context.WithTimeoutCause(ctx, reachLimit, unreached(fmt.Sprintf("not within %v", reachLimit)))
	defer cancel()
	// What was started may end without the access.
	ended := make(chan error, 1)
	go func() {
		_, err := s.await(ctx)
		switch {
		case errors.As(err, new(*hung)):
			err = unreached("it " + err.Error())
		case err == nil:
			err = unreached("it ended without")
		}
		ended <- err
	}()
	var err error
	select {
	case <-l.reached:
		return nil
	case err = <-ended:
	case <-limited.Done():
		err = context.Cause(limited)
	case <-w.done:
		if err = w.err; lost(err) {
			// What waits for the victim's answer finds out why.
			select {
			case cause := <-ended:
				err = fmt.Errorf("%w: %w", err, cause)
			case <-time.After(stubLimit):
			}
		}
	}
	select {
	case <-l.reached: // at that moment
		return nil
	default:
		return err
	}
}
