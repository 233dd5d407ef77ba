package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
	"github.com/faultline/faultline/kernels/source"
)

func checkQEMU(ctx context.Context) finding {
	f := finding{what: "QEMU"}
	bin, err := qemu.Find(ctx, runtime.GOARCH)
	var missing *qemu.MissingError
	switch {
	case errors.As(err, &missing):
		f.missing, f.install = missing.Reason, missing.Package
	case err != nil:
		f.missing, f.install = err.Error(), ""
	default:
		f.found = bin.Version + ", " + bin.Path
		if bin.User == nil && os.Geteuid() == 0 {
			f.found += "; can't run as nobody: guests run as root"
		}
		if !bin.Sandboxed {
			f.found += "; built without seccomp: guests run without a sandbox"
		}
	}
	return f
}

// checkTCG returns the finding that QEMU has no TCG, and the ids of the scenarios that are
// then skipped.
func checkTCG(ctx context.Context) (f finding, lost []string, err error) {
	f = finding{what: "TCG", optional: true}
	bin, err := qemu.Find(ctx, runtime.GOARCH)
	if err != nil {
		return f, nil, nil // reported by checkQEMU
	}
	lacks := bin.Supports(ctx, qemu.TCG)
	if lacks == nil {
		return f, nil, nil
	}
	all, err := scenarios(ctx)
	for _, i := range all {
		if i.TCG != "" {
			lost = append(lost, i.ID)
		}
	}
	f.missing = fmt.Sprintf(
		"%v: guests need KVM, and %s that need TCG are skipped",
		lacks,
		english.Plural(len(lost), "scenario", ""),
	)
	return f, lost, err
}

func checkKVM(ctx context.Context, boot bool) finding {
	f := finding{what: "KVM", optional: true}
	err := vm.OpenKVM()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.missing = "no /dev/kvm: guests run under TCG, which is slower; " +
			"enable virtualisation in the firmware, or nested virtualisation for this machine"
	case errors.Is(err, fs.ErrPermission):
		f.missing = fmt.Sprintf("%v: guests run under TCG, which is slower; "+
			"join the group kvm: sudo usermod -aG kvm $USER, then log in again", err)
	case err != nil:
		f.missing = fmt.Sprintf("%v: guests run under TCG, which is slower", err)
	default:
		ask := tryKVM
		if !boot {
			ask = knownOfKVM
		}
		switch problem, err := ask(ctx); {
		case err != nil:
			f.found = fmt.Sprintf("/dev/kvm opens; to check that it runs guests: faultline doctor --kvm (%v)", err)
		case problem != "":
			f.missing = fmt.Sprintf("/dev/kvm opens, but KVM runs no guests: they run under TCG, which is slower; "+
				"is this machine a guest without nested virtualisation? (%s)", problem)
		default:
			f.found = "a guest reached user space with it"
		}
	}
	return f
}

// knownOfKVM returns why KVM failed for the last guest, or "" if it worked.
func knownOfKVM(ctx context.Context) (problem string, err error) {
	c, err := cache.Open("")
	if err != nil {
		return "", err
	}
	host, err := vm.NewHost(ctx, c, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	defer host.Close()
	_, problem, err = host.KnownAccel(ctx, "auto")
	return problem, err
}

// tryKVM boots a cached kernel with KVM. It returns why the kernel did not reach user
// space, or "".
func tryKVM(ctx context.Context) (problem string, err error) {
	c, err := cache.Open("")
	if err != nil {
		return "", err
	}
	items, err := c.List()
	if err != nil {
		return "", err
	}
	none := errors.New("no kernel is in the cache; run faultline run first")
	if !slices.ContainsFunc(items, func(i cache.Item) bool { return i.Kind == "kernel" }) {
		return "", none
	}
	m, err := matrix.Default()
	if err != nil {
		return "", err
	}
	// The package lists may be old: the cached kernels come from them.
	k, err := source.Resolve(ctx, m.Kernels[0].Spec, kernels.Options{Cache: c, MaxAge: 100 * 365 * 24 * time.Hour})
	if err != nil {
		return "", none
	}
	defer k.Close()
	host, err := vm.NewHost(ctx, c, k.Arch)
	if err != nil {
		return "", err
	}
	defer host.Close()
	g, err := host.Boot(ctx, vm.Spec{Kernel: k, Accel: qemu.KVM})
	var t *vm.GuestError
	switch {
	case err == nil:
		g.Close()
		return "", nil
	case errors.As(err, &t) && t.Kind != vm.HostFailed:
		t.Hint = ""
		return t.Error(), nil
	}
	return "", err
}
