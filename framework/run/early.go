package run

import (
	"context"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/run/plan"
)

// bootAhead is a boot that began before all of the run's kernels were there.
type bootAhead struct {
	stop    context.CancelFunc
	done    chan struct{}
	console string // the file that it goes to

	t   *vm.Template
	err error
}

// Early begins to boot a kernel's usual guest. Boot takes it as its own, as do its
// evidence and its failure; Close ends it where there was no Boot.
func (o *Executor) Early(ctx context.Context, k *plan.Kernel) error {
	dir, err := o.rig.Folder("early-")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	e := &bootAhead{stop: stop, done: make(chan struct{}), console: filepath.Join(dir, "console.log")}
	o.early[guest{k, k.Accel}] = e
	go func() {
		defer close(e.done)
		e.t, e.err = o.template(ctx, guest{k, k.Accel}, e.console)
	}()
	return nil
}

// take waits for an early boot and gives its console to a file. The template is the
// caller's.
func (e *bootAhead) take(ctx context.Context, console string) (*vm.Template, error) {
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if console != "" {
		// Where it did not come to print anything there is none.
		if said, err := os.ReadFile(e.console); err == nil {
			if err := os.WriteFile(console, said, 0o644); err != nil {
				return nil, err
			}
		}
	}
	t := e.t
	e.t = nil
	return t, e.err
}

// close ends a boot that nobody took.
func (e *bootAhead) close() {
	e.stop()
	<-e.done
	if e.t != nil {
		e.t.Close()
	}
}
