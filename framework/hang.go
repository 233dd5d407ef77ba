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

// An operation that does not return while the agent answers is an observation: the
// process hangs in the kernel. Like the waits in await.go, the limit counts answered
// polls, so that a suspended host causes no hang. An interval in which the guest got only
// a part of the CPU time that it needed counts for that part, so that a busy host causes
// none either.
const (
	hangPoll = 500 * time.Millisecond
	// hangLimit is for an access and a system call. The longest known one clears a page
	// of 1 GiB, which takes about 5 s under TCG.
	hangLimit = 20 * time.Second
	// programLimit is for a user's program.
	programLimit = 100 * time.Second
)

// place is the common part of all kernel stacks that were sampled of a process: the
// functions with which they all begin, outermost first.
type place struct {
	functions []string
	seen      bool
}

// frame matches a line of /proc/PID/stack (proc_pid_stack in fs/proc/base.c).
var frame = regexp.MustCompile(`^\[<[^>]*>\] ([\w.]+)\+0x`)

// entry matches the functions through which every system call and fault enters the
// kernel.
var entry = regexp.MustCompile(`^(entry_|asm_|do_syscall_64$|x64_sys_call$|exc_page_fault$|irqentry_|ret_from_fork)`)

// add adds a sampled stack, innermost function first.
func (p *place) add(stack string) {
	var functions []string
	for line := range strings.Lines(stack) {
		if m := frame.FindStringSubmatch(strings.TrimSpace(line)); m != nil && !entry.MatchString(m[1]) {
			name, _, _ := strings.Cut(m[1], ".") // suffixes of the compiler, such as .part.0
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

// String returns the place as text: "in __x64_sys_madvise > do_madvise".
func (p *place) String() string {
	if len(p.functions) == 0 {
		return "in and out of the kernel"
	}
	return "in " + strings.Join(p.functions, " > ")
}

// hung is the error for an operation that does not return.
type hung struct{ where string }

func (h *hung) Error() string { return observe.HungMark + ", " + h.where }

// answered waits until ended is closed and meanwhile samples the process's kernel stack.
// It returns a *hung if the limit is reached while the agent answers.
func (g *Guest) answered(
	ctx context.Context,
	ended <-chan struct{},
	pid func(context.Context) (int, error),
	limit time.Duration,
) error {
	tick := time.NewTicker(hangPoll)
	defer tick.Stop()
	var at place
	var before usage
	for waited := time.Duration(0); waited < limit; {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("it had not returned after %v (limit %v): %w", waited.Round(hangPoll), limit, context.Cause(ctx))
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
		at.add(string(reply.File.Data))
		if reply, err = g.vm.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/stat"}}); err != nil {
			return err
		}
		now := usage{time.Now(), busy(string(reply.File.Data))}
		if before.busy > 0 {
			// A tick counts once, however long the reply took: the host may have been
			// suspended.
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

// credit returns the part of a hangPoll that counts, given the CPU time that the guest
// wanted and had in it.
func credit(wanted, had time.Duration) time.Duration {
	if had >= wanted {
		return hangPoll
	}
	return time.Duration(float64(hangPoll) * float64(had) / float64(wanted))
}

// usage is the time for which the guest's CPUs were not idle up to a moment, according to
// its kernel.
type usage struct {
	at   time.Time
	busy time.Duration
}

// busy returns the sum of the first line of /proc/stat (proc_stat(5)) without idle and
// iowait, in units of 1/100 s (USER_HZ).
func busy(stat string) (sum time.Duration) {
	line, _, _ := strings.Cut(stat, "\n")
	for i, field := range strings.Fields(line) {
		const idle, iowait, guest = 4, 5, 9 // guest and guest_nice are included in user and nice
		n, err := strconv.ParseInt(field, 10, 64)
		if err == nil && i != idle && i != iowait && i < guest {
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// newest returns the process id that the guest's kernel assigned last (loadavg_proc_show
// in fs/proc/loadavg.c).
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
