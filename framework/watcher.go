package framework

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline/faultline/framework/machine/gdb"
)

// watcher owns the gdb stub while the guest runs. It raises the machine check at
// each read of a poisoned line, on the vCPU that reads, which is set back to before
// the read.
//
// Two vCPUs that read a poisoned line at the same moment are one stop: the machine
// check is raised on one of them.
type watcher struct {
	g     *Guest
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
func (g *Guest) watching(ctx context.Context) (*watcher, error) {
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
