package framework

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// What does not return while the agent answers is an observation: the kernel holds
// the process. It is bounded by how often the guest was asked and answered, as the
// waits of await.go are, so that a host that stands still makes nothing of it. A time
// in which the guest had a part of the processor time that it wanted counts for that
// part, so that a busy host makes nothing of it either.
const (
	hangPoll = 500 * time.Millisecond
	// hangLimit is for an access and a system call. The longest that is known clears a
	// page of 1 GiB, in some 5 s under TCG.
	hangLimit = 20 * time.Second
	// programLimit is for a program, which may have much to do.
	programLimit = 100 * time.Second
)

// place is where in the kernel a process was seen each time that it was looked at:
// the functions that all its stacks begin with, outermost first.
type place struct {
	functions []string
	seen      bool
}

// frame is a line of /proc/PID/stack (proc_pid_stack in fs/proc/base.c).
var frame = regexp.MustCompile(`^\[<[^>]*>\] ([\w.]+)\+0x`)

// entry are the functions by which every system call and every fault comes in.
var entry = regexp.MustCompile(`^(entry_|asm_|do_syscall_64$|x64_sys_call$|exc_page_fault$|irqentry_|ret_from_fork)`)

// look takes a stack, innermost function first, into account.
func (p *place) look(stack string) {
	var functions []string
	for line := range strings.Lines(stack) {
		if m := frame.FindStringSubmatch(strings.TrimSpace(line)); m != nil && !entry.MatchString(m[1]) {
			name, _, _ := strings.Cut(m[1], ".") // the compiler's .part.0 and the like
			functions = append([]string{name}, functions...)
		}
	}
	if !p.seen {
		p.functions, p.seen = functions, true
		return
	}
	n := 0
	for n < min(len(p.functions), len(functions)) && p.functions[n] == functions[n] {
		n++
	}
	p.functions = p.functions[:n]
}

// String is the place in words: "in __x64_sys_madvise > do_madvise".
func (p *place) String() string {
	if len(p.functions) == 0 {
		return "in and out of the kernel"
	}
	return "in " + strings.Join(p.functions, " > ")
}

// hung is the error of what did not return.
type hung struct{ where string }

func (h *hung) Error() string { return observe.HungMark + ", " + h.where }

// answered waits for what another goroutine waits for too, and looks at the process
// meanwhile. Its error is a *hung where the agent answered for so long.
func (g *Guest) answered(ctx context.Context, ended <-chan struct{}, pid func(context.Context) (int, error), limit time.Duration) error {
	tick := time.NewTicker(hangPoll)
	defer tick.Stop()
	var at place
	var before usage
	for waited := time.Duration(0); waited < limit; {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("it had not returned after %v of the %v that are waited: %w", waited.Round(hangPoll), limit, context.Cause(ctx))
		case <-tick.C:
		}
		n, err := pid(ctx)
		if err != nil {
			return err
		}
		reply, err := g.vm.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: fmt.Sprintf("/proc/%d/stack", n)}})
		if err != nil {
			return err
		}
		at.look(string(reply.File.Data))
		if reply, err = g.vm.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/stat"}}); err != nil {
			return err
		}
		now := usage{time.Now(), busy(string(reply.File.Data))}
		if before.busy > 0 {
			// A tick counts once, however long it took to be answered: the host may have stood still.
			waited += credit(now.busy-before.busy, g.vm.Ran(before.at, now.at))
		}
		before = now
	}
	select {
	case <-ended:
		return nil
	default:
		return &hung{at.String()}
	}
}

// credit is how much of a hangPoll counts, in which the guest wanted so much processor
// time and had so much.
func credit(wanted, had time.Duration) time.Duration {
	if had >= wanted {
		return hangPoll
	}
	return time.Duration(float64(hangPoll) * float64(had) / float64(wanted))
}

// usage is how long the guest's processors were not idle until a moment, by its kernel.
type usage struct {
	at   time.Time
	busy time.Duration
}

// busy reads the first line of /proc/stat (proc_stat(5)), in units of 1/100 s
// (USER_HZ): all but idle and iowait.
func busy(stat string) (sum time.Duration) {
	line, _, _ := strings.Cut(stat, "\n")
	for i, field := range strings.Fields(line) {
		const idle, iowait, guest = 4, 5, 9 // the last two are in others already
		n, err := strconv.ParseInt(field, 10, 64)
		if err == nil && i != idle && i != iowait && i < guest {
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// newest is the process id that the guest's kernel gave out last
// (loadavg_proc_show in fs/proc/loadavg.c).
func (g *Guest) newest(ctx context.Context) (int, error) {
	reply, err := g.vm.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/loadavg"}})
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(reply.File.Data))
	n := 0
	if len(fields) > 0 {
		_, err = fmt.Sscan(fields[len(fields)-1], &n)
	}
	return n, err
}
