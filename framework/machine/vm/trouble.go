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
	Refused     Kind = "refused"      // the guest, or QEMU, answered that it could not do something
	HostFailed  Kind = "host"         // this machine lacks something: disk space, a file
)

// GuestError says what went wrong with a guest. It is about the rig; a kernel's
// behaviour is never a GuestError.
type GuestError struct {
	Kind Kind
	// Doing is what was being done: "boot", "clone", "ask the agent to map".
	Doing  string
	Kernel string
	// Tail is the end of the console.
	Tail string
	// Registers are those of the guest's processors, as QEMU's monitor prints them,
	// where the kernel panicked, reset the machine or is silent, and QEMU told.
	Registers string
	// Template is the key in the cache of what the guest was cloned from; empty for
	// one that was booted.
	Template string
	// Starved says of a guest that did not answer that its QEMU waited for a core of
	// this machine for more than half of its life.
	Starved bool
	// Hint is what to do next, for the kinds that have one.
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
		fmt.Fprintf(&b, ": %v", t.Err)
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

// Restarted says that QEMU ended because the guest restarted the machine, as after
// a triple fault: it runs with -no-reboot, and ends well then.
func (t *GuestError) Restarted() bool {
	var end *qemu.EndError
	return t.Kind == Exit && errors.As(t.Err, &end) && !end.Asked && end.Status == "exit status 0"
}

// noPage is what a bus error of QEMU's says: a page of a file that guest memory
// is in could not be had, which is how mapped memory tells of a full disk (mmap(2)).
func (g *Guest) noPage(end *qemu.EndError) error {
	free := "an unknown amount"
	var disk unix.Statfs_t
	if err := unix.Statfs(g.memory, &disk); err == nil {
		free = humanize.IBytes(disk.Bavail * uint64(disk.Bsize))
	}
	return fmt.Errorf("no page could be had for the guest's memory in %s, where %s of disk space is free (%w)", g.memory, free, end)
}

const noPageAdvice = "make room there (faultline cache prune), and run again; where there is room, look after the disk"

// A guest that goes down is silent for good when QEMU has answered so often, this
// far apart, and nothing was printed between.
const quietPolls, quietPoll = 60, 50 * time.Millisecond

// lastWords waits until a guest that goes down has said all: until QEMU ended, as
// it does after a panic (panic=-1) and after PID 1 gave up, or answers and the
// guest is silent. It is false where neither was seen within callLimit: the host
// stood still, and the text may lack its end.
func (g *Guest) lastWords() bool {
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
			select { // it ends
			case <-g.proc.Done():
				return true
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// OfKernel says that it is the kernel's own doing, as far as that can be told.
func (t *GuestError) OfKernel() bool {
	return t.Kind == Panic || t.Kind == Hang && !t.Starved || t.Kind == Refused || t.Restarted()
}

// guestPanicked is the QMP event with which pvpanic tells the same.
const guestPanicked = "GUEST_PANICKED"
