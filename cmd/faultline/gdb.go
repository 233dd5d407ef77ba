package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"time"

	"github.com/digitalocean/go-qemu/qmp"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/internal/execx"
)

// gdbCommand returns the command that connects gdb to a paused guest, with the symbols of
// its kernel.
func gdbCommand(gdb string, p scenario.Paused) []string {
	return []string{gdb, "-ex", "target remote " + p.GDB, p.Symbols}
}

// debugger runs gdb in this terminal.
type debugger struct{ ended chan struct{} }

// attachLimit is the maximum time for gdb to read its symbols and connect.
const attachLimit = time.Minute

// start starts gdb and returns when gdb has stopped the guest, or has exited. Requests to
// the guest then wait until gdb continues it.
func (d *debugger) start(ctx context.Context, gdb string, p scenario.Paused) error {
	mon, err := qmp.NewSocketMonitor("unix", p.QMP, attachLimit)
	if err != nil {
		return err
	}
	if err := mon.Connect(); err != nil {
		return err
	}
	defer mon.Disconnect()
	events, err := mon.Events(ctx)
	if err != nil {
		return err
	}
	argv := gdbCommand(gdb, p)
	cmd := execx.Prepare(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // gdb handles Ctrl-C from now on
	d.ended = make(chan struct{})
	go func() {
		_ = cmd.Wait() // gdb's exit status does not matter
		close(d.ended)
	}()
	limit := time.After(attachLimit)
	for {
		select {
		case e, open := <-events:
			if !open || e.Event == "STOP" {
				return nil
			}
		case <-d.ended:
			return nil
		case <-limit:
			return errors.New("gdb did not stop the guest")
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return context.Cause(ctx)
		}
	}
}

// wait waits until gdb exits, if it was started.
func (d *debugger) wait() {
	if d.ended != nil {
		<-d.ended
	}
}
