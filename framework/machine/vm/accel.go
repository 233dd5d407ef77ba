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

// OpenKVM says why this process can't have a virtual machine of KVM's; nil where
// it can. That guests run in one is not said: only a guest can say so, see Accel.
func OpenKVM() error {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	v, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmGetAPIVersion, 0)
	if errno != 0 || v != kvmAPIVersion {
		return fmt.Errorf("/dev/kvm speaks version %d (%v), not %d", v, errno, kvmAPIVersion)
	}
	vm, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), kvmCreateVM, 0)
	if errno != 0 {
		return fmt.Errorf("/dev/kvm creates no virtual machine: %w", errno)
	}
	return unix.Close(int(vm))
}

// Accel turns what a user asked for ("kvm", "tcg" or "auto") into what guests
// get. Auto is KVM where a guest has reached user space with it since this
// machine started, for which one is booted the first time, and otherwise TCG;
// why then says what is wrong with KVM.
func (r *Host) Accel(ctx context.Context, want string, k *kernels.Kernel) (a qemu.Accel, why string, err error) {
	if checkConfig(k) != nil { // whatever runs it, it does not come far enough to tell
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

// ErrNotTried says that no guest was started with KVM yet.
var ErrNotTried = errors.New("no guest was started with KVM yet")

// KnownAccel is Accel without a boot. Where nothing is known of KVM, auto is TCG
// and the error is ErrNotTried.
func (r *Host) KnownAccel(ctx context.Context, want string) (_ qemu.Accel, why string, err error) {
	a, why, err := r.accel(ctx, want, func(context.Context) error { return ErrNotTried })
	if errors.Is(err, ErrNotTried) {
		a = qemu.TCG
	}
	return a, why, err
}

// accelLimit bounds the way to user space for an accelerator that opens and may
// not run guests: some of them print nothing, for ever. It is some twenty times
// what a guest needs, and what the guest was kept waiting for a core is not
// counted: a machine that is busy with other things is no broken one. Past it,
// auto goes on with TCG, and keeps the verdict.
const accelLimit = 30 * time.Second

// accelPoll is how often a guest on its way to user space is looked at.
const accelPoll = 250 * time.Millisecond

// accelBroken says of a guest that is not in user space and had so much time for
// it, a part of which it was starved of a core, whether the accelerator is to blame.
func accelBroken(had, starved time.Duration) bool { return had-starved > accelLimit }

// starved is how long a process, by its folder in /proc, could have run and had
// no core: that of its threads which waited longest, the second number of its
// schedstat (Documentation/scheduler/sched-stats.rst). Where the host's kernel
// counts no such thing it is 0.
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
	verdictFile = "verdict" // what is wrong with KVM; empty where nothing is
)

func (r *Host) accel(ctx context.Context, want string, boot func(context.Context) error) (_ qemu.Accel, why string, err error) {
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
	// What may mend KVM, a reboot, another module or another QEMU, shows in one of these.
	booted, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	var dev unix.Stat_t
	if err := unix.Stat("/dev/kvm", &dev); err != nil {
		return qemu.TCG, err.Error(), nil
	}
	key := cache.Key(string(booted), fmt.Sprint(dev.Ino, dev.Ctim), r.QEMU.Path, r.QEMU.Version, runtime.GOARCH)
	entry, err := r.Cache.Get(ctx, accelKind, key, func(ctx context.Context, dir string) error {
		verdict := ""
		if err := boot(ctx); err != nil {
			// Any other trouble may be the kernel's, so it is not kept.
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
		return "", "", &GuestError{Kind: HostFailed, Doing: "read what is known of KVM", Err: err}
	}
	if why = strings.TrimSpace(string(verdict)); why != "" {
		return qemu.TCG, why, nil
	}
	return qemu.KVM, "", nil
}

// bare is the error without its advice.
func (t *GuestError) bare() string {
	b := *t
	b.Hint = ""
	return strings.TrimPrefix(b.Error(), ": ")
}
