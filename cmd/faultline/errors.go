package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/sanitize"
)

// exitError ends the process with its exit code and without a message, because the
// command has printed everything.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode returns the exit code for an error.
func exitCode(err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		return int(exit)
	}
	return errkind.ExitCode(err)
}

// reportError prints an error to stderr, and returns the exit code.
func reportError(ctx context.Context, err error) int {
	var exit exitError
	switch {
	case err == nil || errors.As(err, &exit):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "faultline: interrupted")
		return errkind.ExitInterrupted
	default:
		fmt.Fprintf(os.Stderr, "faultline: %s\n", sanitize.Log(err.Error()))
		var t *vm.GuestError
		if errors.As(err, &t) && t.Tail != "" {
			fmt.Fprintf(
				os.Stderr,
				"the end of the guest's console:\n  %s\n",
				strings.ReplaceAll(sanitize.Log(t.Tail), "\n", "\n  "),
			)
		}
	}
	return exitCode(err)
}

// progress prints a progress message to stderr.
func progress(format string, args ...any) {
	fmt.Fprintln(os.Stderr, sanitize.Log(fmt.Sprintf(format, args...)))
}
