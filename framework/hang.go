package framework

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/guest/wire"
)

// What does not return while the agent answers is an observation: the kernel holds
// the process. It is bounded by how often the guest was asked and answered, as the
// waits of await.go are, so that a host that stands still makes nothing of it; and only
// by the times between which the guest had the processor that it wanted, so that a
// busy host makes nothing of it either.
const (
	hangPoll = 500 * time.Millisecond
	// hangPolls is for an access and a system call: 20 s of the guest's time. The
	// longest that is known clears a page of 1 GiB, in some 5 s under TCG.
	hangPolls = 40
	// programPolls is for a program, which may have much to do.
	programPolls = 200
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
// meanwhile. Its error is a *hung where the agent answered polls times first.
func (g *GuestVM) answered(ctx context.Context, ended <-chan struct{}, pid func(context.Context) (int, error), polls int) error {
	tick := time.NewTicker(hangPoll)
	defer tick.Stop()
	var at place
	var before usage
	for counted := 0; counted < polls; {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
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
		if wanted := now.busy - before.busy; before.busy > 0 && g.vm.Ran(before.at, now.at) >= wanted/2 {
			counted++
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
func (g *GuestVM) newest(ctx context.Context) (int, error) {
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
