package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/distro"
	"github.com/faultline/faultline/internal/errkind"
)

type shellCmd struct{ guestFlags }

func (shellCmd) Help() string {
	return `The shell and its tools (ls, mount, dmesg, vi, ...) are BusyBox, copied from this machine (Debian
package busybox-static). If standard input or output is not a terminal, the shell runs its input as
a script.

` + guestDevices + `
` + specsHelp + `
Examples:
  faultline shell apt:bookworm
  echo 'uname -r; dmesg | tail' | faultline shell apt:bookworm/6.12

` + guestExits
}

func (c *shellCmd) Run(ctx context.Context) error {
	busybox, err := findBusybox()
	if err != nil {
		return err
	}
	return c.session(ctx, func(ctx context.Context, guest *vm.SSHClient) error {
		if err := guest.InstallShell(ctx, busybox); err != nil {
			return err
		}
		if term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd())) {
			return interactive(ctx, guest)
		}
		return exited(guest.Exec(ctx, []string{"/bin/sh"}, vm.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
	})
}

// findBusybox finds a static BusyBox, which a guest can run. Debian also has a dynamic
// one.
func findBusybox() (string, error) {
	hint := "install it with: " + distro.Here().Install("busybox-static")
	var why error
	for _, path := range []string{"busybox", "/bin/busybox", "/usr/bin/busybox"} {
		found, err := findStatic(path)
		if err == nil {
			return found, nil
		}
		if dynamic := (*dynamicError)(nil); errors.As(err, &dynamic) {
			why = err
		}
	}
	if why != nil {
		return "", errkind.Requestf("%w; %s", why, hint)
	}
	return "", errkind.Requestf("no busybox on this machine, needed as the guest's shell; %s", hint)
}

// interactive connects our terminal to one in the guest, until the shell ends.
func interactive(ctx context.Context, guest *vm.SSHClient) error {
	fd := int(os.Stdin.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer term.Restore(fd, before)
	sizes, stop := terminalSizes(fd)
	defer stop()
	size := <-sizes
	kind := os.Getenv("TERM")
	if kind == "" {
		kind = "dumb"
	}
	return exited(guest.Exec(ctx, []string{"/bin/sh"}, vm.Streams{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: &vm.Terminal{Type: kind, Rows: size[0], Cols: size[1], Resized: sizes},
	}))
}

// terminalSizes sends the terminal's rows and columns, first the current ones, then each
// change (SIGWINCH), until stop is called.
func terminalSizes(fd int) (_ <-chan [2]int, stop func()) {
	changed := make(chan os.Signal, 1)
	changed <- syscall.SIGWINCH
	signal.Notify(changed, syscall.SIGWINCH)
	sizes, quit := make(chan [2]int), make(chan struct{})
	go func() {
		defer close(sizes)
		for {
			select {
			case <-changed:
			case <-quit:
				return
			}
			cols, rows, err := term.GetSize(fd)
			if err != nil {
				cols, rows = 80, 24
			}
			select {
			case sizes <- [2]int{rows, cols}:
			case <-quit:
				return
			}
		}
	}()
	return sizes, func() {
		signal.Stop(changed)
		close(quit)
	}
}
