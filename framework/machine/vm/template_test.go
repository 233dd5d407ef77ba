package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/images"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

// inputs are the inputs of a template's key.
type inputs struct {
	vmHost Host
	host   string
	spec   Spec
	parts  parts
}

func standardInputs() *inputs {
	pmem := func(spec images.PmemSpec) *images.Pmem {
		return &images.Pmem{Spec: spec, Image: images.Image{Key: "image of " + spec.Label}}
	}
	in := &inputs{
		vmHost: Host{QEMU: qemu.Binary{Path: "/usr/bin/qemu", Version: "7.2"}, init: program{digest: "i"}, agent: program{path: "/a", digest: "a"}},
		spec:   Spec{Kernel: &kernels.Kernel{Name: "K", Digest: "k", Image: "/k", PVH: true}, Accel: qemu.TCG},
		parts:  parts{initramfs: &images.Image{Path: "/i", Key: "i"}, e820: pmem(e820Spec)},
	}
	for _, s := range nvdimmSpecs {
		in.parts.nvdimms = append(in.parts.nvdimms, pmem(s))
	}
	for _, s := range virtioSpecs {
		in.parts.virtio = append(in.parts.virtio, pmem(s))
	}
	return in
}

func (in *inputs) key() string { return in.vmHost.templateKey(in.spec, &in.parts, in.host) }

func TestTemplateKey(t *testing.T) {
	base := standardInputs().key()
	if again := standardInputs().key(); again != base {
		t.Errorf("got %s and %s of the same inputs, want the same", base, again)
	}
	keys := map[string]string{base: "nothing"}
	for name, change := range map[string]func(*inputs){
		"QEMU":            func(in *inputs) { in.vmHost.QEMU.Version = "8.0" },
		"QEMU's files":    func(in *inputs) { in.host = "other firmware" },
		"the agent":       func(in *inputs) { in.vmHost.agent.digest = "b" },
		"the initramfs":   func(in *inputs) { in.parts.initramfs.Key = "j" }, // it contains PID 1 and the modules
		"the kernel":      func(in *inputs) { in.spec.Kernel.Digest = "l" },
		"its entry":       func(in *inputs) { in.spec.Kernel.PVH = false },
		"the accelerator": func(in *inputs) { in.spec.Accel = qemu.KVM },
		"the processors":  func(in *inputs) { in.spec.CPUs = 2 },
		"their model":     func(in *inputs) { in.spec.CPU = "qemu64" },
		"an nvdimm":       func(in *inputs) { in.parts.nvdimms[0].Key = "x" },
		"its size":        func(in *inputs) { in.parts.nvdimms[0].Spec.Size *= 2 },
		"a NUMA node":     func(in *inputs) { in.spec.LargeNVDIMM = true },
		"fewer nvdimms":   func(in *inputs) { in.parts.nvdimms = in.parts.nvdimms[:1] },
		"virtio-pmem":     func(in *inputs) { in.parts.virtio[0].Key = "y" },
		"e820 pmem":       func(in *inputs) { in.parts.e820.Key = "z" },
	} {
		in := standardInputs()
		change(in)
		if other, taken := keys[in.key()]; taken {
			t.Errorf("changing %s gives the same key as changing %s", name, other)
		}
		keys[in.key()] = name
	}
	for name, change := range map[string]func(*inputs){
		"paths": func(in *inputs) {
			in.vmHost.QEMU.Path, in.vmHost.agent.path, in.parts.initramfs.Path, in.parts.nvdimms[0].Path, in.spec.Kernel.Image = "/1", "/2", "/3", "/4", "/5"
		},
		"the kernel's name":    func(in *inputs) { in.spec.Kernel.Name = "L" },
		"the console":          func(in *inputs) { in.spec.Console = "/c" },
		"one processor, named": func(in *inputs) { in.spec.CPUs = 1 },
	} {
		in := standardInputs()
		change(in)
		if in.key() != base {
			t.Errorf("changing %s gives another template", name)
		}
	}
}

// TestTemplateIsRepaired builds templates in a cache of its own.
func TestTemplateIsRepaired(t *testing.T) {
	first := newHost(t)
	k := kernel(t, recent)
	private, err := cache.Open(tempDir(t))
	must(t, err)
	first.Cache = private
	second, err := NewHost(t.Context(), private, runtime.GOARCH)
	must(t, err)
	defer second.Close()
	spec := Spec{Kernel: k, Accel: qemu.TCG}

	// Two callers build the same template once, as two processes would: flock(2) locks do
	// not belong to processes.
	var templates [2]*Template
	var both sync.WaitGroup
	for i, r := range []*Host{first, second} {
		both.Go(func() {
			tm, err := r.Template(t.Context(), spec)
			if err != nil {
				t.Error(err)
				return
			}
			templates[i] = tm
		})
	}
	both.Wait()
	if t.Failed() {
		return
	}
	if templates[0].Built == templates[1].Built || templates[0].entry.Path != templates[1].entry.Path {
		t.Errorf("got built %t and %t, in %s and %s; want one built, and one folder",
			templates[0].Built, templates[1].Built, templates[0].entry.Path, templates[1].entry.Path)
	}
	for _, tm := range templates {
		if tm.Built && (tm.Boot <= 0 || tm.Freeze <= 0) {
			t.Errorf("got boot %v, freeze %v; want both to take time", tm.Boot, tm.Freeze)
		}
		if tm.BootTime() <= 0 {
			t.Errorf("got boot time %v, want more than 0", tm.BootTime())
		}
		if said, err := tm.Console(); err != nil || len(said) == 0 {
			t.Errorf("got console %q, error %v; want some", said, err)
		}
		clone(t, tm).Close()
		tm.Close()
	}
	path := templates[0].entryPath(t, first)
	if left, _ := filepath.Glob(path + ".tmp*"); len(left) > 0 {
		t.Errorf("got %v left behind, want none", left)
	}

	for name, damage := range map[string]func() error{
		"half a state": func() error { return os.Truncate(filepath.Join(path, stateFile), 1000) },
		"no memory":    func() error { return os.Remove(filepath.Join(path, "ram")) },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, damage())
			tm, err := first.Template(t.Context(), spec)
			must(t, err)
			defer tm.Close()
			if !tm.Built {
				t.Error("it was not rebuilt")
			}
			clone(t, tm).Close()
		})
	}
}

// entryPath returns the template's path, which is valid after Close.
func (t *Template) entryPath(tt *testing.T, r *Host) string {
	tt.Helper()
	parts, err := r.prepare(tt.Context(), t.spec)
	must(tt, err)
	defer parts.close()
	host, err := r.host(t.spec.Accel)
	must(tt, err)
	return filepath.Join(r.Cache.Dir(), templateKind, r.templateKey(t.spec, parts, host))
}

// A disk that becomes full while a template boots is reported as such, and no file is
// left.
func TestFullDisk(t *testing.T) {
	r := newHost(t)
	k := kernel(t, recent)
	dir := filepath.Join(tempDir(t), "cache")
	must(t, os.Mkdir(dir, 0o700))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1g"); err != nil {
		t.Skip("a small disk takes root to mount: ", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	c, err := cache.Open(dir)
	must(t, err)
	r.Cache = c
	parts, err := r.prepare(t.Context(), Spec{Kernel: k})
	must(t, err)
	parts.close()
	// The parts of a template exist, and disk space for a part of its memory.
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprint("size=", cache.DiskUse(dir)+100<<20)))
	_, err = r.Template(t.Context(), Spec{Kernel: k, Accel: qemu.TCG})
	isGuestError(t, err, HostFailed, "cannot allocate a page for the guest's memory in "+dir, "")
	for _, says := range []string{"of disk space is free", "signal: bus error", "faultline cache prune"} {
		if err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want it with %q", err, says)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, templateKind, "*")); len(left) > 0 {
		t.Errorf("got %v left, want none", left)
	}
}

// A template with a flipped bit in its memory or nvdimm is not used, although the sizes
// and times of its files are unchanged.
func TestFlippedBitInATemplate(t *testing.T) {
	r := newHost(t)
	c, err := cache.Open(filepath.Join(tempDir(t), "cache"))
	must(t, err)
	r.Cache = c
	spec := Spec{Kernel: kernel(t, recent), Accel: qemu.TCG}
	for n, file := range []string{"", "ram", "nvdimm0"} {
		if file != "" {
			found, err := filepath.Glob(filepath.Join(c.Dir(), templateKind, "*", file))
			must(t, err)
			if len(found) != 1 {
				t.Fatalf("%s: got the files %v, want 1", file, found)
			}
			info, err := os.Stat(found[0])
			must(t, err)
			f, err := os.OpenFile(found[0], os.O_RDWR, 0)
			must(t, err)
			at, err := unix.Seek(int(f.Fd()), info.Size()/3, unix.SEEK_DATA)
			must(t, err)
			b := make([]byte, 1)
			_, err = f.ReadAt(b, at)
			must(t, err)
			b[0] ^= 4
			_, err = f.WriteAt(b, at)
			must(t, err)
			must(t, f.Close())
			must(t, os.Chtimes(found[0], info.ModTime(), info.ModTime()))
		}
		for again := range 2 {
			begun := time.Now()
			tm, err := r.Template(t.Context(), spec)
			must(t, err)
			if tm.Built != (again == 0) {
				t.Errorf("%d %s: got built %t, want %t", n, file, tm.Built, again == 0)
			}
			t.Logf("%s: built %t in %v", file, tm.Built, time.Since(begun))
			tm.Close()
		}
	}
}
