package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/arch"
)

func standard() Machine {
	return Machine{
		Accel: TCG, Kernel: "/k", Initrd: "/i", RAM: File{"/t/ram", 512 * MiB},
		NVDIMMs:    []File{{"/t/nvdimm0", 256 * MiB}, {"/t/nvdimm1", 1100 * MiB}, {"/t/nvdimm2", 16 * MiB}},
		VirtioPmem: []File{{"/t/virtio0", 128 * MiB}},
		E820Addr:   256 * MiB, E820Bytes: 64 * MiB,
	}
}

// value returns the value of an option that occurs once.
func value(t *testing.T, args []string, option string) string {
	t.Helper()
	at := slices.Index(args, option)
	if at < 0 || slices.Index(args[at+1:], option) >= 0 {
		t.Fatalf("got none or several %s in %q, want one", option, args)
	}
	return args[at+1]
}

func TestMachineArguments(t *testing.T) {
	m := standard()
	args := m.Args()
	for option, want := range map[string]string{"-smp": "1", "-m": "512M,slots=5,maxmem=20G", "-kernel": "/k", "-initrd": "/i"} {
		if got := value(t, args, option); got != want {
			t.Errorf("%s: got %s, want %s", option, got, want)
		}
	}
	if got := value(t, args, "-machine"); !strings.Contains(got, "accel=tcg") || !strings.Contains(got, "nvdimm=on") {
		t.Errorf("got -machine %s, want accel=tcg and nvdimm=on", got)
	}
	// Without it a survivable machine check panics the guest.
	if got := value(t, args, "-cpu"); !strings.Contains(got, "vendor=GenuineIntel") {
		t.Errorf("got -cpu %s, want vendor=GenuineIntel", got)
	}
	// TCG emulates the requested CPU; KVM uses the host's.
	for _, c := range []struct {
		accel       Accel
		model, want string
	}{
		{TCG, "", arch.IceLake.String()}, {TCG, "EPYC", "EPYC"}, {KVM, "", "host"}, {KVM, "EPYC", "EPYC"},
	} {
		if got := (Machine{Accel: c.accel, CPU: c.model}).cpu(); got != c.want {
			t.Errorf("got -cpu %s, want %s", got, c.want)
		}
	}
	if got := value(t, args, "-append"); !strings.Contains(got, " memmap=64M!256M") || !strings.Contains(got, "console=ttyS0 ") {
		t.Errorf("got -append %s, want memmap=64M!256M and console=ttyS0", got)
	}
	all := strings.Join(args, " ")
	if strings.Contains(all, "share=on") || strings.Contains(all, "-incoming") {
		t.Errorf("got %s, want no shared memory and no -incoming", all)
	}

	// QEMU refuses a node's memory together with the machine's.
	for node, want := range map[bool]string{false: "memory-backend=ram", true: "-numa node,nodeid=0,memdev=ram"} {
		m.Node = node
		all := strings.Join(m.Args(), " ")
		if !strings.Contains(all, want) || strings.Contains(all, "memory-backend=ram") && strings.Contains(all, "-numa") {
			t.Errorf("node %t: got %s, want %s only", node, all, want)
		}
	}
	m.Node = false

	m.Share, m.NVDIMMs, m.VirtioPmem, m.E820Bytes, m.CPUs = true, nil, nil, 0, 2
	all = strings.Join(m.Args(), " ")
	if strings.Contains(all, "share=off") || strings.Contains(all, "nvdimm") || strings.Contains(all, "memmap=") || !strings.Contains(all, "-smp 2 ") {
		t.Errorf("got %s, want shared memory, 2 CPUs, and no nvdimm or memmap=", all)
	}

	m.Incoming = true // the kernel is in the memory already
	all = strings.Join(m.Args(), " ")
	if strings.Contains(all, "-kernel") || strings.Contains(all, "-append") || !strings.HasSuffix(all, "-incoming defer") {
		t.Errorf("got %s, want no kernel, and -incoming defer as its end", all)
	}
}

// Devices must not overlap, and their addresses in QEMU's arguments must be NVDIMMAddr's.
func TestPmemAddresses(t *testing.T) {
	m := standard()
	all := strings.Join(m.Args(), " ")
	for i, want := range []int64{4 << 30, 5 << 30, 7 << 30} {
		if got := m.NVDIMMAddr(i); got != want {
			t.Errorf("nvdimm %d: got the address %#x, want %#x", i, got, want)
		}
	}
	for _, want := range []string{
		"nvdimm,id=nvdimm0,memdev=mem-nvdimm0,addr=0x100000000 ", "nvdimm,id=nvdimm1,memdev=mem-nvdimm1,addr=0x140000000 ",
		"nvdimm,id=nvdimm2,memdev=mem-nvdimm2,addr=0x1c0000000 ", "virtio-pmem-pci,addr=0x10,id=virtio0,memdev=mem-virtio0,memaddr=0x200000000 ",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	if got, want := VirtioPmemPCI(0), "0000:00:10.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMachineInAnotherFolder(t *testing.T) {
	m := standard()
	moved := m.In("/new")
	for _, f := range append(append([]File{moved.RAM}, moved.NVDIMMs...), moved.VirtioPmem...) {
		if !strings.HasPrefix(f.Path, "/new/") {
			t.Errorf("%s was not moved", f.Path)
		}
	}
	if m.RAM.Path != "/t/ram" || m.NVDIMMs[0].Path != "/t/nvdimm0" || moved.Kernel != "/k" {
		t.Errorf("got %+v, moved %+v; want the files of the first, and the kernel of both, where they were", m, moved)
	}
}

func TestVersion(t *testing.T) {
	for out, want := range map[string]string{
		"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022": "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)",
		"QEMU emulator version 10.0.0\n":     "10.0.0",
		"QEMU emulator version 9.2.50-rc1\n": "9.2.50-rc1",
		"QEMU emulator version 7.2.0\n":      "7.2.0",
	} {
		if got, err := parseVersion(out); err != nil || got != want {
			t.Errorf("%q: got %q, error %v; want %q", out, got, err, want)
		}
	}
	for out, want := range map[string]string{
		"QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)": "QEMU 5.2.0 (Debian 1:5.2+dfsg-11) is too old, 7.2 or newer is needed",
		"QEMU emulator version 7.1.9\n":                      "QEMU 7.1.9 is too old, 7.2 or newer is needed",
		"hello":                                              "no version in its output",
		"":                                                   "no version in its output",
	} {
		if got, err := parseVersion(out); err == nil || err.Error() != want {
			t.Errorf("%q: got %q, error %v; want the error %q", out, got, err, want)
		}
	}
	if _, err := Find(t.Context(), "s390x"); err == nil || !strings.Contains(err.Error(), "s390x") {
		t.Errorf("got %v, want an error that names s390x", err)
	}
}

func TestNoQEMU(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Find(t.Context(), "amd64")
	if _, ok := err.(*MissingError); !ok || !strings.Contains(err.Error(), "install it with: apt-get install") {
		t.Errorf("got %v, want a *MissingError with how to install it", err)
	}
}

// A QEMU that prints nothing, and whose child keeps its output open, does not block.
func TestSilentQEMU(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte("#!/bin/sh\n/bin/sleep 3600 &\n/bin/sleep 3600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	_, err := find(t.Context(), "amd64", 300*time.Millisecond)
	if _, ok := err.(*MissingError); !ok || !strings.Contains(err.Error(), "qemu-system-x86_64 --version: no answer within 300ms; install it with") {
		t.Errorf("got %v, want a *MissingError with no answer within 300ms", err)
	}
	why := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, why)
	defer cancel()
	if _, err := find(ctx, "amd64", time.Minute); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n")
	f.Fuzz(func(t *testing.T, out string) {
		if v, err := parseVersion(out); err == nil && !strings.Contains(out, v) {
			t.Errorf("%q: got %q, want a part of it", out, v)
		}
	})
}
