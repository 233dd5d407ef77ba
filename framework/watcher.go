package framework

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/faultline/faultline/framework/machine/gdb"
)

// watcher owns the gdb stub while the guest runs. At each read of a poisoned line it
// resets the vCPU that read to before the read, and raises the machine check on it.
//
// If two vCPUs read a poisoned line at the same moment, there is one stop, and the
// machine check is raised on one of them.
type watcher struct {
	g     *Guest
	stub  *gdb.Client
	lines []*line
	asks  chan ask
	stop  context.CancelFunc
	done  chan struct{} // closed when it stops watching, before the guest continues unwatched
	err   error         // why it stopped; valid once done is closed
	ended chan struct{} // closed after the stub was released

	physical func(ctx context.Context, cpu int, virt uint64) (uint64, error)
}

// ask is a function to be called while the guest is stopped.
type ask struct {
	do     func(context.Context) error
	answer chan<- error
}

// watching returns the scenario's watcher, and starts it if necessary.
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
	// It outlives the scenario's context: witnesses are collected after that.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &watcher{
		g:        g,
		stub:     stub,
		asks:     make(chan ask),
		stop:     stop,
		done:     make(chan struct{}),
		ended:    make(chan struct{}),
		physical: g.physical,
	}
	go w.watchUntil(running)
	g.watcher = w
	return w, nil
}

// watchUntil watches until ctx or the guest ends, or an error occurs.
func (w *watcher) watchUntil(ctx context.Context) {
	defer close(w.ended)
	defer w.stub.Close()
	w.err = w.run(ctx)
	// From here on the guest is not watched, so that its behaviour is not an observation.
	close(w.done)
	// A guest that still runs continues without watchpoints and answers; the error ends
	// the scenario. A guest that cannot continue does not answer, which is detected.
	if w.err != nil && !lost(w.err) {
		limited, cancel := stubTime(context.WithoutCancel(ctx))
		defer cancel()
		_ = w.stub.Detach(limited)
	}
}

// stubTime limits an exchange with the stub.
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

// failed returns the error for which the watcher stopped, except for the guest's end.
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
		// Anything else that stops the guest also resumes it.
		if err == nil && ctx.Err() == nil && (stop.Access != "" || asked != nil) {
			err = w.bounded(ctx, w.stub.Continue)
		}
		if ctx.Err() != nil { // which is the cause of err
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

// next waits until the guest has stopped, or stops it for an ask.
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
		if errors.Is(err, gdb.ErrTimeout) { // no watchpoint was hit meanwhile
			err = w.bounded(ctx, func(ctx context.Context) (err error) {
				stop, err = w.stub.Interrupt(ctx)
				return err
			})
		}
		return stop, &a, err
	}
}

// halted calls a function while the guest is stopped. Use it only while nothing accesses
// a poisoned line: QEMU loses a watchpoint hit that coincides with an interrupt
// (main_loop_should_exit in softmmu/runstate.c: a guest that is stopped already is not
// stopped for a debug request).
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

// reach waits until the started operation reads the line.
func (w *watcher) reach(ctx context.Context, s *Started, l *line) error {
	where := fmt.Sprintf("%s of %s", l.name, l.by)
	unreached := func(why string) error { return &UnreachedError{s.action, where, why} }
	limited, cancel := context.WithTimeoutCause(ctx, reachLimit, unreached(fmt.Sprintf("not within %v", reachLimit)))
	defer cancel()
	// The operation may end without the access.
	ended := make(chan error, 1)
	go func() {
		_, err := s.await(ctx)
		switch {
		case errors.As(err, new(*hung)):
			err = unreached("it " + err.Error())
		case err == nil:
			err = unreached("it ended without the access")
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
			// The error of the wait for the victim's reply has the cause.
			select {
			case cause := <-ended:
				err = fmt.Errorf("%w: %w", err, cause)
			case <-time.After(stubLimit):
			}
		}
	}
	select {
	case <-l.reached: // at the same moment
		return nil
	default:
		return err
	}
}
