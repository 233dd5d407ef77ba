package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/images"
	"github.com/faultline/faultline/kernels"
)

// Exit codes.
const (
	exitUnexpected  = 1   // some behaviour was not as expected
	exitUsage       = 2   // the request was wrong: flags, files, specs, or a tool is not installed
	exitRig         = 3   // the rig failed: could not judge
	exitInterrupted = 130 // as a shell says of SIGINT
)

// usageError says that the request was wrong. Its text ends with the way out.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// exitError ends the process with a code of its own, and without a word: what
// there was to say was said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var (
		exit  exitError
		usage *usageError
		spec  *kernels.SpecError
		tool  *kernels.ToolError
		mkfs  *images.MissingToolError
		noVM  *qemu.MissingError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case isRequest(err), errors.As(err, &usage), errors.As(err, &spec), errors.As(err, &tool), errors.As(err, &mkfs), errors.As(err, &noVM):
		return exitUsage
	}
	return exitRig
}

// tell tells of the error on stderr, and returns the exit code.
func tell(ctx context.Context, err error) int {
	var exit exitError
	switch {
	case err == nil || errors.As(err, &exit):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "faultline: interrupted")
		return exitInterrupted
	default:
		fmt.Fprintf(os.Stderr, "faultline: %v\n", err)
		var t *vm.Trouble
		if errors.As(err, &t) && t.Tail != "" {
			fmt.Fprintf(os.Stderr, "the end of the guest's console:\n  %s\n", strings.ReplaceAll(t.Tail, "\n", "\n  "))
		}
	}
	return exitCode(err)
}

// progress is where the packages tell what takes time.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
