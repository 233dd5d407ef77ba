package run

import (
	"context"
	"os"
	"path/filepath"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/run/plan"
)

// bootAhead is a boot that began before all kernels of the run were resolved.
type bootAhead struct {
	stop    context.CancelFunc
	done    chan struct{}
	console string // the file of its console

	t   *vm.Template
	err error
}

// Early begins to boot a kernel's default guest. Boot takes over the result, with its
// evidence or its failure; Close stops it if Boot was not called.
func (o *Executor) Early(ctx context.Context, k *plan.Kernel) error {
	dir, err := o.host.Folder("early-")
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

// take waits for an early boot and copies its console to a file. The caller owns the
// template.
func (e *bootAhead) take(ctx context.Context, console string) (*vm.Template, error) {
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if console != "" {
		// There is no file if nothing was printed.
		if printed, err := os.ReadFile(e.console); err == nil {
			if err := os.WriteFile(console, printed, 0o644); err != nil {
				return nil, err
			}
		}
	}
	t := e.t
	e.t = nil
	return t, e.err
}

// close stops a boot that was not taken.
func (e *bootAhead) close() {
	e.stop()
	<-e.done
	if e.t != nil {
		e.t.Close()
	}
}
