package vm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/internal/klog"
)

// Kind of a GuestError.
type Kind string

const (
	Panic       Kind = "panic"        // the guest's kernel panicked
	Hang        Kind = "hang"         // it did not answer in time
	Exit        Kind = "exit"         // QEMU ended
	BrokenAccel Kind = "broken accel" // the accelerator opened, but does not run guests
	Refused     Kind = "refused"      // the guest, or QEMU, returned an error for a request
	HostFailed  Kind = "host"         // this machine does not have something: disk space, a file
)

// GuestError describes a failure of a guest. It is an infrastructure failure, never a
// behaviour of the kernel under test.
type GuestError struct {
	Kind Kind
	// Doing is what was being done: "boot", "clone", "ask the agent to map".
	Doing  string
	Kernel string
	// Tail is the end of the console.
	Tail string
	// Registers are the registers of the guest's CPUs, as QEMU's monitor prints them, if
	// the kernel panicked, reset the machine or does not answer, and QEMU returned them.
	Registers string
	// Template is the cache key of the template from which the guest was cloned; empty if
	// it was booted.
	Template string
	// Starved is set if a guest did not answer and its QEMU waited for a core of this
	// machine for more than half of its life.
	Starved bool
	// Hint is what to do next, if known.
	Hint string
	Err  error
}

func (t *GuestError) Error() string {
	var b strings.Builder
	if t.Doing != "" {
		b.WriteString(t.Doing + ": ")
	}
	switch t.Kind {
	case Panic:
		fmt.Fprintf(&b, "the kernel of %s panicked", t.Kernel)
		if line := klog.PanicText(t.Tail); line != "" {
			fmt.Fprintf(&b, ": %s", line)
		}
	case Hang:
		fmt.Fprintf(&b, "%s did not answer", t.Kernel)
	case Exit:
		if t.Restarted() {
			fmt.Fprintf(&b, "%s reset its machine, or switched it off", t.Kernel)
		} else {
			fmt.Fprintf(&b, "QEMU of %s ended", t.Kernel)
		}
	case BrokenAccel:
		fmt.Fprintf(&b, "the accelerator does not run %s", t.Kernel)
	default:
		b.WriteString(t.Kernel)
	}
	if t.Err != nil {
		if !strings.HasSuffix(b.String(), ": ") { // else no kernel is named
			b.WriteString(": ")
		}
		fmt.Fprint(&b, t.Err)
	}
	if t.Kind == Hang && t.Registers != "" {
		fmt.Fprintf(&b, "; %s", standing(t.Registers))
	}
	if t.Hint != "" {
		fmt.Fprintf(&b, "; %s", t.Hint)
	}
	return b.String()
}

func (t *GuestError) Unwrap() error { return t.Err }

// Restarted reports whether QEMU ended because the guest restarted the machine, for
// example after a triple fault: with -no-reboot, QEMU then exits with status 0.
func (t *GuestError) Restarted() bool {
	var end *qemu.EndError
	return t.Kind == Exit && errors.As(t.Err, &end) && !end.Asked && end.Status == "exit status 0"
}

// noPage returns the error for a bus error of QEMU: a page of a guest memory file could
// not be allocated, which is how mapped memory reports a full disk (mmap(2)).
func (g *Guest) noPage(end *qemu.EndError) error {
	free := "an unknown amount"
	var disk unix.Statfs_t
	if err := unix.Statfs(g.memory, &disk); err == nil {
		free = humanize.IBytes(disk.Bavail * uint64(disk.Bsize))
	}
	return fmt.Errorf(
		"cannot allocate a page for the guest's memory in %s, where %s of disk space is free (%w)",
		g.memory,
		free,
		end,
	)
}

const noPageAdvice = "free disk space there (faultline cache prune), and run again; if there is enough, check the disk"

// A guest that goes down has printed everything when QEMU has answered quietPolls times,
// at intervals of quietPoll, and nothing was printed in between.
const quietPolls, quietPoll = 60, 50 * time.Millisecond

// drainConsole waits until a guest that goes down has printed everything: until QEMU has
// ended, as it does after a panic (panic=-1) and after PID 1 gave up, or answers while
// the guest prints nothing. It returns false if neither happened within callLimit: the
// host was suspended, and the text may be incomplete.
func (g *Guest) drainConsole() bool {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	tick := time.NewTicker(quietPoll)
	defer tick.Stop()
	for n, printed := 0, int64(-1); n < quietPolls; n++ {
		if now := g.proc.Console.Printed(); now != printed {
			n, printed = 0, now
		}
		select {
		case <-g.proc.Done():
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if _, err := g.proc.Monitor.Status(ctx); err != nil {
			select { // QEMU is ending
			case <-g.proc.Done():
				return true
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// OfKernel reports whether the kernel probably caused the error.
func (t *GuestError) OfKernel() bool {
	return t.Kind == Panic || t.Kind == Hang && !t.Starved || t.Kind == Refused || t.Restarted()
}

// guestPanicked is the QMP event of pvpanic.
const guestPanicked = "GUEST_PANICKED"
