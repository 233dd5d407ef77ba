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

// gdbCommand starts gdb on a guest that is open, with the symbols of its kernel.
func gdbCommand(gdb string, p scenario.Paused) []string {
	return []string{gdb, "-ex", "target remote " + p.GDB, p.Symbols}
}

// debugger is a gdb in this terminal.
type debugger struct{ ended chan struct{} }

// attachLimit bounds how long gdb may take to read its symbols and connect.
const attachLimit = time.Minute

// start starts gdb and returns when the guest stands still because of it, or when
// gdb is at its end. What the guest is asked then waits for it to continue.
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
	words := gdbCommand(gdb, p)
	cmd := execx.Prepare(words[0], words[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	signal.Ignore(os.Interrupt) // Ctrl-C is gdb's from now on
	d.ended = make(chan struct{})
	go func() {
		_ = cmd.Wait() // what it ended with is its user's affair
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
			return errors.New("it did not stop the guest")
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return context.Cause(ctx)
		}
	}
}

// wait waits for the end of gdb, if one was started.
func (d *debugger) wait() {
	if d.ended != nil {
		<-d.ended
	}
}
