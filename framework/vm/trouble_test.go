package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
)

// crash panics the guest (Documentation/admin-guide/sysrq.rst).
var crash = &wire.Request{WriteFile: &wire.WriteFile{Path: "/proc/sysrq-trigger", Data: []byte("c")}}

// isTrouble holds an error against a kind, a text of its message, and one of
// the console's tail.
func isTrouble(t *testing.T, err error, kind Kind, says, tail string) {
	t.Helper()
	var tr *Trouble
	switch {
	case !errors.As(err, &tr):
		t.Errorf("no trouble: %v", err)
	case tr.Kind != kind || !strings.Contains(err.Error(), says) || !strings.Contains(tr.Tail, tail):
		t.Errorf("kind %q, not %q (with %q): %v\n%s", tr.Kind, kind, says, err, tr.Tail)
	default:
		t.Log(err)
	}
}

// within fails a test that takes longer.
func within(t *testing.T, limit time.Duration) {
	t.Helper()
	begun := time.Now()
	t.Cleanup(func() {
		if took := time.Since(begun); took > limit {
			t.Errorf("it took %v, more than %v", took, limit)
		}
	})
}

func TestTroubleInAClone(t *testing.T) {
	r := rig(t)
	tm := template(t, r, recent)
	hello := &wire.Request{Hello: &wire.Hello{}}
	for name, test := range map[string]func(*testing.T, *Guest){
		"the kernel panics": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), crash)
			isTrouble(t, err, Panic, "Kernel panic - not syncing: sysrq triggered crash", "Kernel panic")
			_, err = g.Call(t.Context(), hello)
			isTrouble(t, err, Panic, "sysrq triggered crash", "Kernel panic")
		},
		"it panics while SSH is used": func(t *testing.T, g *Guest) {
			c, err := g.SSH(t.Context())
			must(t, err)
			defer c.Close()
			must(t, c.Put(t.Context(), probeBinary(t), "/run/probe"))
			g.Send(crash)
			_, err = c.Exec(t.Context(), []string{"/run/probe", "cat"}, Streams{Stdin: blocks{}})
			isTrouble(t, err, Panic, "sysrq triggered crash", "Kernel panic")
		},
		"QEMU is killed": func(t *testing.T, g *Guest) {
			must(t, unix.Kill(g.PID(), unix.SIGKILL))
			_, err := g.Call(t.Context(), hello)
			isTrouble(t, err, Exit, "signal: killed", "")
			_, err = g.SSH(t.Context())
			isTrouble(t, err, Exit, "signal: killed", "")
		},
		"QEMU is killed while the agent is asked": func(t *testing.T, g *Guest) {
			must(t, g.Monitor().Run(t.Context(), "stop", nil, nil))
			time.AfterFunc(50*time.Millisecond, func() { unix.Kill(g.PID(), unix.SIGKILL) })
			_, err := g.Call(t.Context(), hello)
			isTrouble(t, err, Exit, "signal: killed", "")
		},
		"the guest stands still": func(t *testing.T, g *Guest) {
			must(t, g.Monitor().Run(t.Context(), "stop", nil, nil))
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := g.Call(ctx, hello)
			isTrouble(t, err, Hang, "did not answer", "")
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err = g.SSH(ctx)
			isTrouble(t, err, Hang, "did not answer", "")
		},
		"the agent can't": func(t *testing.T, g *Guest) {
			_, err := g.Call(t.Context(), &wire.Request{To: 99, Access: &wire.Access{Kind: wire.Load, Width: 1}})
			isTrouble(t, err, Refused, "99", "")
			if !errors.Is(err, ErrGuest) {
				t.Errorf("%v is not ErrGuest", err)
			}
			if _, err := g.Call(t.Context(), hello); err != nil {
				t.Errorf("after it: %v", err)
			}
		},
		"the caller gives up": func(t *testing.T, g *Guest) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := g.Call(ctx, hello)
			var tr *Trouble
			if !errors.Is(err, context.Canceled) || errors.As(err, &tr) {
				t.Errorf("%v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := clone(t, tm)
			within(t, 5*time.Second)
			test(t, g)
		})
	}
}

// blocks is an input that never comes.
type blocks struct{}

func (blocks) Read([]byte) (int, error) { select {} }

func TestTroubleAtBoot(t *testing.T) {
	r := rig(t)
	k := kernel(t, recent)
	spec := Spec{Kernel: k, Accel: qemu.TCG}
	parts, err := r.prepare(t.Context(), k)
	must(t, err)
	defer parts.close()
	// What takes its time on a busy host is done before limit counts.
	bootFor := func(t *testing.T, r *Rig, limit time.Duration, change func(*qemu.Machine)) error {
		dir := tempDir(t)
		m, err := parts.machine(t.Context(), spec, dir, false)
		must(t, err)
		change(&m)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		g, err := r.boot(ctx, spec, m, dir)
		if err == nil {
			g.Close()
		}
		return err
	}
	boot := func(t *testing.T, change func(*qemu.Machine)) error { return bootFor(t, r, time.Minute, change) }
	asItIs := func(*qemu.Machine) {}
	t.Run("no PID 1", func(t *testing.T) {
		within(t, 30*time.Second)
		err := boot(t, func(m *qemu.Machine) { m.Append = "rdinit=/nonexistent" })
		isTrouble(t, err, Panic, "Kernel panic - not syncing: VFS: Unable to mount root fs", "Kernel panic")
	})
	t.Run("PID 1 gives up", func(t *testing.T) {
		within(t, 30*time.Second)
		err := boot(t, func(m *qemu.Machine) { m.Append = "module_blacklist=virtio_net" })
		isTrouble(t, err, Refused, "PID 1 gave up: no network card", saidFailed)
	})
	t.Run("no key", func(t *testing.T) {
		within(t, 30*time.Second)
		g := &Guest{spec: spec, dir: tempDir(t)}
		m, err := parts.machine(t.Context(), spec, g.dir, false)
		must(t, err)
		m.Append = "faultline.key=%"
		must(t, g.start(t.Context(), r.QEMU, m))
		defer g.Close()
		ctx, unwatch := g.watch(t.Context())
		defer unwatch()
		_, err = g.agent.line(ctx)
		isTrouble(t, g.trouble(ctx, "boot", err), Refused, "PID 1 gave up: the kernel command line has no usable faultline.key=", saidFailed)
	})
	t.Run("no kernel", func(t *testing.T) {
		within(t, 30*time.Second)
		err := boot(t, func(m *qemu.Machine) { m.Kernel = filepath.Join(t.TempDir(), "vmlinuz") })
		isTrouble(t, err, Exit, "could not open kernel file", "")
	})
	t.Run("a file that is no kernel", func(t *testing.T) {
		within(t, 30*time.Second)
		err := boot(t, func(m *qemu.Machine) {
			m.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
			must(t, os.WriteFile(m.Kernel, []byte(strings.Repeat("this is no kernel\n", 10_000)), 0o644))
		})
		isTrouble(t, err, Exit, "kernel too old", "")
	})
	t.Run("in no time", func(t *testing.T) {
		within(t, 5*time.Second)
		isTrouble(t, bootFor(t, r, 500*time.Millisecond, asItIs), Hang, "did not answer", "")
	})
	t.Run("QEMU says nothing", func(t *testing.T) {
		within(t, 5*time.Second)
		mute := *r
		mute.QEMU.Path = filepath.Join(t.TempDir(), "qemu")
		must(t, os.WriteFile(mute.QEMU.Path, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755))
		isTrouble(t, bootFor(t, &mute, 300*time.Millisecond, asItIs), Hang, "connect to QEMU's monitor", "")
		mute.QEMU.Path = "/no/such/qemu"
		isTrouble(t, bootFor(t, &mute, time.Minute, asItIs), Host, "/no/such/qemu", "")
	})
	t.Run("interrupted", func(t *testing.T) {
		within(t, 5*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		_, err := r.Boot(ctx, spec)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestBrokenKVM needs a machine whose KVM opens but runs no guests.
func TestBrokenKVM(t *testing.T) {
	if err := OpenKVM(); err != nil {
		t.Skip("KVM does not open here: ", err)
	}
	r := rig(t)
	k := kernel(t, recent)
	within(t, bootLimit)
	if a, _, err := r.Accel(t.Context(), "kvm", k); a != qemu.KVM || err != nil {
		t.Errorf("KVM that was asked for: %s, %v", a, err)
	}
	g, err := r.Boot(t.Context(), Spec{Kernel: k, Accel: qemu.KVM})
	if err == nil {
		g.Close()
		t.Skip("KVM works here")
	}
	isTrouble(t, err, BrokenAccel, "--accel tcg", "")
	a, why, err := r.Accel(t.Context(), "auto", k)
	if a != qemu.TCG || err != nil || !strings.Contains(strings.ToLower(why), "kvm") {
		t.Errorf("auto is %s because %q, %v", a, why, err)
	}
	t.Log(why)
}

// TestAccelIsTriedOnce gives a verdict on KVM without guests.
func TestAccelIsTriedOnce(t *testing.T) {
	if err := OpenKVM(); err != nil {
		t.Skip("KVM does not open here: ", err)
	}
	c, err := cache.Open(t.TempDir())
	must(t, err)
	r := &Rig{Cache: c, QEMU: qemu.Binary{Version: "1"}}
	tries := 0
	ask := func(answer error) (qemu.Accel, string, error) {
		return r.accel(t.Context(), "auto", func(context.Context) error { tries++; return answer })
	}
	if a, _, err := r.KnownAccel(t.Context(), "auto"); a != qemu.TCG || !errors.Is(err, ErrNotTried) {
		t.Errorf("before any try: %s, %v", a, err)
	}
	// No guest can run of this one: it is not even tried.
	if a, why, err := r.Accel(t.Context(), "auto", configured(t, "CONFIG_PCI=y")); a != qemu.TCG || why != "" || err != nil {
		t.Errorf("a kernel that no guest runs with: %s, %q, %v", a, why, err)
	}
	// A panic may be the kernel's fault: no verdict.
	if a, why, err := ask(&Trouble{Kind: Panic, Kernel: "K"}); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("after a panic: %s, %q, %v", a, why, err)
	}
	if _, _, err := ask(&Trouble{Kind: Host, Kernel: "K"}); err == nil {
		t.Error("trouble with the host is no answer, yet there is no error")
	}
	broken := &Trouble{Kind: BrokenAccel, Kernel: "K", Err: errors.New("it stopped"), Advice: kvmAdvice}
	for range 3 {
		if a, why, err := ask(broken); a != qemu.TCG || why != "the accelerator does not run K: it stopped" || err != nil {
			t.Errorf("%s, %q, %v", a, why, err)
		}
	}
	if tries != 3 {
		t.Errorf("%d tries, not 3", tries)
	}
	if a, why, err := r.KnownAccel(t.Context(), "auto"); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("known: %s, %q, %v", a, why, err)
	}
	r.QEMU.Version = "2" // may mend it
	if a, why, err := ask(nil); a != qemu.KVM || why != "" || err != nil {
		t.Errorf("another QEMU: %s, %q, %v", a, why, err)
	}
	r.QEMU.Path = "/elsewhere/qemu" // may be built otherwise
	if a, why, err := ask(broken); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("the same version at another place: %s, %q, %v", a, why, err)
	}
}

func TestAccelBroken(t *testing.T) {
	for name, c := range map[string]struct {
		after, starved time.Duration
		want           bool
	}{
		"at once":                       {time.Second, 0, false},
		"it had its time":               {accelLimit + time.Second, 0, true},
		"it had its time, now and then": {accelLimit + 20*time.Second, 10 * time.Second, true},
		"others had the cores":          {bootLimit, bootLimit - accelLimit/2, false},
	} {
		if got := accelBroken(c.after, c.starved); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestStarved(t *testing.T) {
	proc := t.TempDir()
	for task, text := range map[string]string{"1": "5000000000 1000000000 77\n", "2": "0 3000000000 4\n", "3": "0 0 0\n", "4": "what is this"} {
		must(t, os.MkdirAll(filepath.Join(proc, "task", task), 0o755))
		must(t, os.WriteFile(filepath.Join(proc, "task", task, "schedstat"), []byte(text), 0o644))
	}
	if got := starved(proc); got != 3*time.Second {
		t.Errorf("%v", got)
	}
	if got := starved(filepath.Join(proc, "none")); got != 0 {
		t.Errorf("a process that is gone: %v", got)
	}
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("this kernel counts no such thing: ", err)
	}
	// Of two that want one core all the time, each waits half of it.
	one, other := spin(t, "taskset", "-c", "0"), spin(t, "taskset", "-c", "0")
	for range 100 {
		if starved(fmt.Sprint("/proc/", one)) > 0 && starved(fmt.Sprint("/proc/", other)) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("two processes on one core were never starved")
}

// spin starts a process that uses a core until the test ends.
func spin(t *testing.T, prefix ...string) (pid int) {
	t.Helper()
	argv := append(prefix, "sh", "-c", "while :; do :; done")
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// standIn is a QEMU that runs under TCG what is asked to run with KVM: it has
// what is decided about KVM decided, on any machine.
const standIn = `#!/bin/sh
for a; do
	shift
	case $a in
	host) a=max,vendor=GenuineIntel ;;
	*accel=kvm*) a=${a%%accel=kvm*}accel=tcg${a#*accel=kvm} ;;
	esac
	set -- "$@" "$a"
done
exec %s "$@"
`

// TestLongBusyMachine has four others want each core, and a guest with an
// accelerator that opens. It is late, and nothing is wrong with it.
func TestLongBusyMachine(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes a minute of all cores; FAULTLINE_LONG=1 runs it, as make test-long does")
	}
	r := rig(t)
	real := r.QEMU.Path
	r.QEMU.Path = filepath.Join(t.TempDir(), "qemu")
	must(t, os.WriteFile(r.QEMU.Path, fmt.Appendf(nil, standIn, real), 0o755))
	for range 4 * runtime.NumCPU() {
		spin(t)
	}
	g, err := r.Boot(t.Context(), Spec{Kernel: kernel(t, recent), Accel: qemu.KVM})
	must(t, err)
	defer g.Close()
	t.Log(g.Timings, starved(fmt.Sprint("/proc/", g.PID())))
	_, err = g.Call(t.Context(), &wire.Request{Spawn: &wire.Spawn{}})
	must(t, err)
}

func TestTroubleInWords(t *testing.T) {
	for want, tr := range map[string]*Trouble{
		"boot: the kernel of K panicked: Kernel panic - not syncing: oh": {Kind: Panic, Doing: "boot", Kernel: "K", Tail: "[  1.0] Kernel panic - not syncing: oh\r\n[  1.1] CPU: 0"},
		"clone: K did not answer: no answer within 10s":                  {Kind: Hang, Doing: "clone", Kernel: "K", Err: errors.New("no answer within 10s")},
		"QEMU of K ended: signal: killed":                                {Kind: Exit, Kernel: "K", Err: errors.New("signal: killed")},
		"boot: the accelerator does not run K: x; do y":                  {Kind: BrokenAccel, Doing: "boot", Kernel: "K", Err: errors.New("x"), Advice: "do y"},
	} {
		if got := tr.Error(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
