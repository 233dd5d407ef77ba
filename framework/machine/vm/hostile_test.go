package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/klog"
)

// Kernels that misbehave, by their own features if possible, and otherwise by replaced
// instructions in a system call.

// Instructions for replace.
var (
	spinsWithout = []byte{0xfa, 0xeb, 0xfe} // cli; jmp .
	spinsWith    = []byte{0xfb, 0xeb, 0xfe} // sti; jmp .
	// Interrupts are enabled, and it returns after 2^33 ticks of the time stamp counter:
	// some seconds.
	spinsAWhile = []byte{
		0xfb,       // sti
		0x0f, 0x31, // rdtsc
		0x48, 0xc1, 0xe2, 0x20, // shl $32, %rdx
		0x48, 0x09, 0xd0, // or %rdx, %rax
		0x48, 0x89, 0xc1, // mov %rax, %rcx
		0x0f, 0x31, // again: rdtsc
		0x48, 0xc1, 0xe2, 0x20, // shl $32, %rdx
		0x48, 0x09, 0xd0, // or %rdx, %rax
		0x48, 0x29, 0xc8, // sub %rcx, %rax
		0x48, 0xc1, 0xe8, 0x22, // shr $34, %rax: some 6 s, of processors of 3 GHz
		0x74, 0xee, // jz again
		0xc3, // ret
	}
)

// replace changes a guest's kernel to run code in getpid(2). It returns the request that
// calls it, and where the kernel then is.
func replace(t *testing.T, g *Guest, code []byte) (ask *wire.Request, at uint64) {
	t.Helper()
	c, err := g.SSH(t.Context())
	must(t, err)
	defer c.Close()
	must(t, c.Put(t.Context(), probeBinary(t), "/run/probe"))
	var told bytes.Buffer
	_, err = c.Exec(t.Context(), []string{"/run/probe", "symbol", "__x64_sys_getpid"}, Streams{Stdout: &told})
	must(t, err)
	at, err = strconv.ParseUint(told.String(), 16, 64)
	must(t, err)
	conn, err := g.DialGDB(t.Context())
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(callLimit)))
	// Two packets of gdb's remote protocol.
	for _, p := range []string{fmt.Sprintf("M%x,%x:%x", at, len(code), code), "D"} {
		sum := byte(0)
		for _, b := range []byte(p) {
			sum += b
		}
		fmt.Fprintf(conn, "$%s#%02x", p, sum)
		var said []byte
		for buf := make([]byte, 256); !bytes.Contains(said, []byte("$OK#9a")); {
			n, err := conn.Read(buf)
			must(t, err)
			said = append(said, buf[:n]...)
		}
		fmt.Fprint(conn, "+")
	}
	return &wire.Request{Syscall: &wire.Syscall{Name: "getpid"}}, at
}

func set(t *testing.T, g *Guest, name, value string) { writeGuest(t, g, "/proc/sys/"+name, value) }

// patience is how long a test waits for a guest that does not answer; a request would
// wait for callLimit.
const patience = time.Second

var errPatience = errors.New("no answer within the test's patience")

func impatient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errPatience)
	t.Cleanup(cancel)
	return ctx
}

func TestHostileKernel(t *testing.T) {
	tm := template(t, newHost(t), recent)
	hello := &wire.Request{Hello: &wire.Hello{}}
	for name, test := range map[string]func(*testing.T, *Guest){
		"it hangs with interrupts off": func(t *testing.T, g *Guest) {
			ask, at := replace(t, g, spinsWithout)
			asked, stands := g.Send(ask), fmt.Sprintf("processor 0 is at 0x%x, with interrupts off", at+1)
			for end := time.Now().Add(callLimit); standing(g.processors()) != stands; time.Sleep(quietPoll) {
				if time.Now().After(end) {
					t.Fatalf("it does not get there, but: %s", standing(g.processors()))
				}
			}
			_, err := asked.Wait(impatient(t))
			isGuestError(t, err, Hang, errPatience.Error()+"; "+stands, "")
			isLost(t, err, g)
		},
		"a soft lockup is what it panics of": func(t *testing.T, g *Guest) {
			set(t, g, "kernel/watchdog_thresh", "1") // it complains after twice that time, by its own clock
			set(t, g, "kernel/softlockup_panic", "1")
			ask, _ := replace(t, g, spinsWith)
			_, err := g.Call(t.Context(), ask)
			isGuestError(t, err, Panic, "softlockup: hung tasks", "BUG: soft lockup")
			isLost(t, err, g)
		},
		"a soft lockup passes": func(t *testing.T, g *Guest) {
			set(t, g, "kernel/watchdog_thresh", "1")
			ask, _ := replace(t, g, spinsAWhile)
			_, err := g.Call(t.Context(), ask)
			must(t, err)
			reply, err := g.Call(t.Context(), &wire.Request{KernelLog: &wire.KernelLog{Since: g.Hello.KmsgSeq}})
			must(t, err)
			if got := klog.Splats(reply.Log.Lines); len(got) != 1 || !strings.HasSuffix(got[0], "sys_getpid") || !strings.HasPrefix(got[0], "soft lockup in ") {
				t.Errorf("got the complaints %q of %q, want one, of a soft lockup in sys_getpid", got, reply.Log.Lines)
			}
		},
		"it runs out of memory, and panics": func(t *testing.T, g *Guest) {
			set(t, g, "vm/overcommit_memory", "1")
			set(t, g, "vm/panic_on_oom", "1")
			_, err := g.Call(t.Context(), hog)
			isGuestError(t, err, Panic, "Out of memory: system-wide panic_on_oom is enabled", "out_of_memory+")
			isLost(t, err, g)
		},
		"it kills the agent, for want of memory": func(t *testing.T, g *Guest) {
			set(t, g, "vm/overcommit_memory", "1")
			_, err := g.Call(t.Context(), hog)
			isGuestError(t, err, Refused, agentPath+" ended: killed", "Out of memory: Killed process")
		},
		"its agent is killed": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), &wire.Request{Syscall: &wire.Syscall{Name: "kill", Args: number(0, 9)}}) // its own process group
			isGuestError(t, err, Refused, agentPath+" ended: killed", saidFailed)
			_, err = g.Call(t.Context(), hello)
			isGuestError(t, err, Refused, agentPath+" ended: killed", saidFailed)
		},
		"it corrupts what the agent sends": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), &wire.Request{Syscall: &wire.Syscall{Name: "write", Args: append(number(port(t, g)), wire.Arg{In: []byte("\x1b]0;{\"id\":\n")}, number(9)[0])}})
			isGuestError(t, err, Refused, `the agent's port is lost: reply "\x1b]0;{`, "")
			_, err = g.Call(t.Context(), hello)
			isGuestError(t, err, Refused, "the agent's port is lost", "")
		},
		"it floods its console": func(t *testing.T, g *Guest) {
			line := append([]byte("<0>"), bytes.Repeat([]byte("flood "), 150)...)
			for range 100 {
				_, err := g.Call(t.Context(), &wire.Request{WriteFile: &wire.WriteFile{Path: "/dev/kmsg", Data: line}})
				must(t, err)
			}
			if tail := g.ConsoleTail(1000); len(tail) > 40<<10 || !strings.Contains(tail, "flood flood") {
				t.Errorf("got %d bytes kept, want at most %d, with the flood: %.80q", len(tail), 40<<10, tail)
			}
			_, err := g.Call(t.Context(), hello)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, clone(t, tm)) })
	}
}

// A request has a limit even if the caller sets none.
func TestReliabilityLongSilence(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it, as make test-reliability LONG=1 does")
	}
	tm := template(t, newHost(t), recent)
	for _, code := range [][]byte{spinsWithout, spinsWith} {
		g := clone(t, tm)
		// Guests' watchdogs wait longer than a request, because a host may be slow.
		set(t, g, "kernel/watchdog_thresh", "10")
		ask, _ := replace(t, g, code)
		_, err := g.Call(t.Context(), ask)
		isGuestError(t, err, Hang, "no answer within "+callLimit.String()+"; processor 0 is at 0x", "")
		isLost(t, err, g)
		if locked := strings.Contains(g.ConsoleTail(100), "BUG: soft lockup"); locked == strings.Contains(err.Error(), "interrupts off") {
			t.Errorf("got a soft lockup %t, want it exactly with interrupts on: %v", locked, err)
		}
	}
}

// hog makes the agent allocate more memory than the guest has, all of it at once.
var hog = &wire.Request{Syscall: &wire.Syscall{Name: "mmap", Args: number(0, 2*ramBytes, 0x3, 0x8022, -1, 0)}} // MAP_PRIVATE, ANONYMOUS, POPULATE

func number(all ...int64) (args []wire.Arg) {
	for _, n := range all {
		args = append(args, wire.Arg{Int: n})
	}
	return args
}

// port returns the agent's descriptor of its port.
func port(t *testing.T, g *Guest) int64 {
	t.Helper()
	for fd := range int64(64) {
		reply, err := g.Call(t.Context(), &wire.Request{Syscall: &wire.Syscall{Name: "readlinkat", Args: append(number(-100), wire.Arg{In: fmt.Appendf(nil, "/proc/self/fd/%d\x00", fd)}, wire.Arg{Out: 64}, number(64)[0])}})
		must(t, err)
		if c := reply.Called; c.Errno == "" && strings.Contains(string(c.Out[0]), "vport") {
			return fd
		}
	}
	t.Fatal("the agent has no port")
	return 0
}

// Kernels that do not have what a guest needs although their configuration has it,
// because of kernel arguments.
func TestHostileBoot(t *testing.T) {
	r := newHost(t)
	k := kernel(t, recent)
	spec := Spec{Kernel: k, Accel: qemu.TCG}
	parts, err := r.prepare(t.Context(), Spec{Kernel: k})
	must(t, err)
	defer parts.close()
	for _, c := range []struct {
		name, arguments string
		kind            Kind
		says, tail      string
	}{
		{"no serial port", "initcall_blacklist=serial8250_init", Panic, "Attempted to kill init!", "unable to open an initial console"},
		{"no virtio bus", "initcall_blacklist=virtio_pci_driver_init", Refused, "no network card", saidFailed},
		{"no virtio port", "initcall_blacklist=virtio_console_init", Refused, "no virtio port is named", saidFailed},
		{"nfit is refused", "module_blacklist=nfit", Refused, "nfit.ko in the guest: EPERM", ""},
		{"nfit finds nothing", "acpi=off pci=conf1", Refused, "no disk for each of its nvdimms", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			m, err := parts.machine(t.Context(), spec, dir, false)
			must(t, err)
			m.Append = c.arguments
			g, err := r.boot(t.Context(), spec, m, dir)
			if err == nil {
				g.Close()
			}
			isGuestError(t, err, c.kind, c.says, c.tail)
		})
	}
}
