package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// KVM's requests (Documentation/virt/kvm/api.rst).
const (
	kvmGetAPIVersion = 0xAE00
	kvmCreateVM      = 0xAE01
	kvmAPIVersion    = 12
)

// OpenKVM returns the reason why this process cannot create a KVM virtual machine, or nil
// if it can. Whether guests run in one is known only after starting a guest: see Accel.
func OpenKVM() error {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmGetAPIVersion, 0)
	if errno != 0 || v != kvmAPIVersion {
		return fmt.Errorf("/dev/kvm has API version %d (%v), not %d", v, errno, kvmAPIVersion)
	}
	vm, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmCreateVM, 0)
	if errno != 0 {
		return fmt.Errorf("create a virtual machine with /dev/kvm: %w", errno)
	}
	return unix.Close(int(vm))
}

// Accel returns the accelerator for the user's choice ("kvm", "tcg" or "auto"). Auto is
// KVM if a guest has reached user space with it since this machine started; the first
// call boots one to find out. Otherwise auto is TCG, and why is the problem with KVM. It is
// an error if QEMU does not have the accelerator.
func (r *Host) Accel(ctx context.Context, want string, k *kernels.Kernel) (a qemu.Accel, why string, err error) {
	if a, why, err = r.choose(ctx, want, k); err != nil || a != qemu.TCG {
		return a, why, err
	}
	if lacks := r.TCG(); lacks != nil {
		if why != "" {
			lacks = fmt.Errorf("%w, and KVM cannot be used: %s", lacks, why)
		}
		return "", "", &GuestError{Kind: BrokenAccel, Doing: "use TCG", Kernel: "any guest", Err: lacks, Hint: noTCGAdvice}
	}
	return a, why, nil
}

func (r *Host) choose(ctx context.Context, want string, k *kernels.Kernel) (a qemu.Accel, why string, err error) {
	if checkConfig(k) != nil { // with any accelerator, it does not boot far enough
		if a, why, err = r.KnownAccel(ctx, want); errors.Is(err, ErrNotTried) {
			err = nil
		}
		return a, why, err
	}
	return r.accel(ctx, want, func(ctx context.Context) error {
		g, err := r.Boot(ctx, Spec{Kernel: k, Accel: qemu.KVM})
		if err == nil {
			g.Close()
		}
		return err
	})
}

// ErrNotTried is returned if no guest was started with KVM yet.
var ErrNotTried = errors.New("no guest was started with KVM yet")

// KnownAccel is Accel without a boot. If nothing is known about KVM, auto is TCG and the
// error is ErrNotTried.
func (r *Host) KnownAccel(ctx context.Context, want string) (_ qemu.Accel, why string, err error) {
	a, why, err := r.accel(ctx, want, func(context.Context) error { return ErrNotTried })
	if errors.Is(err, ErrNotTried) {
		a = qemu.TCG
	}
	return a, why, err
}

// accelLimit limits the time to user space with an accelerator that opens but may not run
// guests: with some of them a guest never prints anything. It is about twenty times what
// a guest needs, and does not include the time that the guest waited for a core, because
// a busy machine is not a broken one. After it, auto uses TCG, and caches the verdict.
const accelLimit = 30 * time.Second

// accelPoll is the interval at which a booting guest is polled.
const accelPoll = 250 * time.Millisecond

// accelBroken reports whether the accelerator is broken, for a guest that has not reached
// user space in the time it had, of which it waited for a core for the time starved.
func accelBroken(had, starved time.Duration) bool { return had-starved > accelLimit }

// starved returns how long a process, given by its folder in /proc, could have run but
// had to wait for a core: the maximum over its threads of the second number of schedstat
// (Documentation/scheduler/sched-stats.rst). It is 0 if the host's kernel does not count
// it.
func starved(proc string) (longest time.Duration) {
	files, _ := filepath.Glob(proc + "/task/*/schedstat")
	for _, f := range files {
		data, _ := os.ReadFile(f)
		var ran, waited time.Duration
		if _, err := fmt.Sscan(string(data), &ran, &waited); err == nil {
			longest = max(longest, waited)
		}
	}
	return longest
}

const (
	accelKind   = "accel"
	verdictFile = "verdict" // the problem with KVM; empty if there is none
)

func (r *Host) accel(
	ctx context.Context,
	want string,
	boot func(context.Context) error,
) (_ qemu.Accel, why string, err error) {
	if want == string(qemu.TCG) {
		return qemu.TCG, "", nil
	}
	open := OpenKVM()
	if want == string(qemu.KVM) {
		if open != nil {
			return "", "", &GuestError{Kind: BrokenAccel, Doing: "use KVM", Kernel: "any guest", Err: open, Hint: kvmAdvice}
		}
		return qemu.KVM, "", nil
	}
	if open != nil {
		return qemu.TCG, open.Error(), nil
	}
	// Each event that may fix KVM (a reboot, another module, another QEMU) changes the
	// key.
	booted, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var dev unix.Stat_t
	if err := unix.Stat("/dev/kvm", &dev); err != nil {
		return qemu.TCG, err.Error(), nil
	}
	key := cache.Key(string(booted), fmt.Sprint(dev.Ino, dev.Ctim), r.QEMU.Path, r.QEMU.Version, runtime.GOARCH)
	entry, err := r.Cache.Get(ctx, accelKind, key, func(ctx context.Context, dir string) error {
		verdict := ""
		if err := boot(ctx); err != nil {
			// Other errors may be caused by the kernel, so they are not cached.
			var t *GuestError
			if !errors.As(err, &t) || t.Kind != BrokenAccel {
				return err
			}
			verdict = t.bare()
		}
		return os.WriteFile(filepath.Join(dir, verdictFile), []byte(verdict), 0o644)
	})
	var t *GuestError
	switch {
	case errors.As(err, &t) && t.Kind != HostFailed:
		return qemu.TCG, t.bare(), nil
	case err != nil:
		return "", "", err
	}
	defer entry.Close()
	verdict, err := os.ReadFile(filepath.Join(entry.Path, verdictFile))
	if err != nil {
		return "", "", &GuestError{Kind: HostFailed, Doing: "read the cached verdict on KVM", Err: err}
	}
	if why = strings.TrimSpace(string(verdict)); why != "" {
		return qemu.TCG, why, nil
	}
	return qemu.KVM, "", nil
}

// bare returns the error's text without its hint.
func (t *GuestError) bare() string {
	b := *t
	b.Hint = ""
	return strings.TrimPrefix(b.Error(), ": ")
}
