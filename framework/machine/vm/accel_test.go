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

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
)

// TestBrokenKVM needs a machine whose KVM opens but runs no guests.
func TestBrokenKVM(t *testing.T) {
	if err := OpenKVM(); err != nil {
		t.Skip("KVM does not open here: ", err)
	}
	r := newHost(t)
	k := kernel(t, recent)
	if a, _, err := r.Accel(t.Context(), "kvm", k); a != qemu.KVM || err != nil {
		t.Errorf("KVM that was asked for: got %s, error %v; want KVM", a, err)
	}
	g, err := r.Boot(t.Context(), Spec{Kernel: k, Accel: qemu.KVM})
	if err == nil {
		g.Close()
		t.Skip("KVM works here")
	}
	isGuestError(t, err, BrokenAccel, "--accel tcg", "")
	a, why, err := r.Accel(t.Context(), "auto", k)
	if a != qemu.TCG || err != nil || !strings.Contains(strings.ToLower(why), "kvm") {
		t.Errorf("auto: got %s because %q, error %v; want TCG because of KVM", a, why, err)
	}
	t.Log(why)
}

// TestAccelIsTriedOnce checks the verdict on KVM without guests.
func TestAccelIsTriedOnce(t *testing.T) {
	if err := OpenKVM(); err != nil {
		t.Skip("KVM does not open here: ", err)
	}
	c, err := cache.Open(t.TempDir())
	must(t, err)
	var noTCG error
	r := &Host{Cache: c, QEMU: qemu.Binary{Version: "1"}, tcg: func() error { return noTCG }}
	tries := 0
	ask := func(answer error) (qemu.Accel, string, error) {
		return r.accel(t.Context(), "auto", func(context.Context) error { tries++; return answer })
	}
	if a, _, err := r.KnownAccel(t.Context(), "auto"); a != qemu.TCG || !errors.Is(err, ErrNotTried) {
		t.Errorf("before any try: got %s, error %v; want TCG, ErrNotTried", a, err)
	}
	// No guest can run with this kernel: it is not tried.
	if a, why, err := r.Accel(t.Context(), "auto", configured(t, "CONFIG_PCI=y")); a != qemu.TCG || why != "" || err != nil {
		t.Errorf("a kernel that no guest runs with: got %s, %q, error %v; want TCG, no reason", a, why, err)
	}
	noTCG = errors.New("QEMU 1 has no accelerator tcg")
	_, _, err = r.Accel(t.Context(), "tcg", configured(t, "CONFIG_PCI=y"))
	isGuestError(t, err, BrokenAccel, "install a QEMU with TCG", "")
	noTCG = nil
	// A panic may be the kernel's fault: no verdict.
	if a, why, err := ask(&GuestError{Kind: Panic, Kernel: "K"}); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("after a panic: got %s, %q, error %v; want TCG with a reason", a, why, err)
	}
	if _, _, err := ask(&GuestError{Kind: HostFailed, Kernel: "K"}); err == nil {
		t.Error("no error, although the host failed")
	}
	broken := &GuestError{Kind: BrokenAccel, Kernel: "K", Err: errors.New("it stopped"), Hint: kvmAdvice}
	for range 3 {
		if a, why, err := ask(broken); a != qemu.TCG || why != "the accelerator does not run K: it stopped" || err != nil {
			t.Errorf("got %s, %q, error %v; want TCG, as the accelerator does not run K", a, why, err)
		}
	}
	if tries != 3 {
		t.Errorf("got %d tries, want 3", tries)
	}
	if a, why, err := r.KnownAccel(t.Context(), "auto"); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("known: got %s, %q, error %v; want TCG with a reason", a, why, err)
	}
	r.QEMU.Version = "2" // may fix it
	if a, why, err := ask(nil); a != qemu.KVM || why != "" || err != nil {
		t.Errorf("another QEMU: got %s, %q, error %v; want KVM, no reason", a, why, err)
	}
	r.QEMU.Path = "/elsewhere/qemu" // may be built otherwise
	if a, why, err := ask(broken); a != qemu.TCG || why == "" || err != nil {
		t.Errorf("the same version at another place: got %s, %q, error %v; want TCG with a reason", a, why, err)
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
			t.Errorf("%s: got %t, want %t", name, got, c.want)
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
		t.Errorf("got %v, want 3s", got)
	}
	if got := starved(filepath.Join(proc, "none")); got != 0 {
		t.Errorf("a process that is gone: got %v, want 0", got)
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

// standIn is a QEMU that runs guests under TCG when KVM is requested, so that the
// decisions about KVM can be tested on any machine.
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

// TestReliabilityLongStandstill stops a QEMU with an accelerator that opens, for longer
// than the limit of a broken one.
func TestReliabilityLongStandstill(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes a minute; FAULTLINE_LONG=1 runs it, as make test-reliability LONG=1 does")
	}
	r := newHost(t)
	real := r.QEMU.Path
	r.QEMU.Path, r.QEMU.User = filepath.Join(t.TempDir(), "qemu"), nil // which nobody else can enter
	must(t, os.WriteFile(r.QEMU.Path, fmt.Appendf(nil, standIn, real), 0o755))
	k := kernel(t, recent)
	go func() {
		for len(guests()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		pid := guests()[0]
		time.Sleep(time.Second)
		unix.Kill(pid, unix.SIGSTOP)
		time.Sleep(accelLimit + 5*time.Second)
		unix.Kill(pid, unix.SIGCONT)
	}()
	g, err := r.Boot(t.Context(), Spec{Kernel: k, Accel: qemu.KVM})
	must(t, err)
	defer g.Close()
	t.Log(g.Timings)
}

// TestReliabilityLongBusyMachine runs four busy processes per core, and a guest with an
// accelerator that opens. The guest is late, and the accelerator is not broken.
func TestReliabilityLongBusyMachine(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes a minute of all cores; FAULTLINE_LONG=1 runs it, as make test-reliability LONG=1 does")
	}
	r := newHost(t)
	real := r.QEMU.Path
	r.QEMU.Path, r.QEMU.User = filepath.Join(t.TempDir(), "qemu"), nil // which nobody else can enter
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
