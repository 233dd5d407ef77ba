package qemu

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/arch"
)

// MiB is 2^20 bytes.
const MiB = 1 << 20

// Accel is what runs the guest's instructions.
type Accel string

const (
	TCG Accel = "tcg" // QEMU's own translator: works everywhere
	KVM Accel = "kvm" // the host's processor, where /dev/kvm really works
)

// File is a file that backs guest memory.
type File struct {
	Path  string
	Bytes int64
}

// Machine describes an x86-64 guest. It owns both halves of the command line,
// QEMU's arguments and the kernel's, because one device often needs both.
type Machine struct {
	Accel Accel
	CPUs  int // 0 means 1
	// CPU is the processor's model, for -cpu; empty means the architecture's, or
	// the host's with KVM.
	CPU    string
	Kernel string
	Initrd string
	// Append goes behind the kernel arguments that the machine itself needs.
	Append string

	// RAM backs the guest's memory.
	RAM File
	// NVDIMMs become /dev/pmem0, … of the ACPI NFIT, in order.
	NVDIMMs []File
	// VirtioPmem devices, in order.
	VirtioPmem []File
	// E820 is a range of RAM (guest physical address, bytes) that the kernel is
	// told to be persistent memory (memmap=SIZE!ADDR, handled by nd_e820).
	E820Addr, E820Bytes int64

	// Share makes guest writes to RAM and pmem reach the files. Where it is
	// false they stay private to the guest, and the files can serve many.
	Share bool
	// Incoming starts the guest paused, to be filled by migration.
	Incoming bool
}

// In is the machine with its memory files (not the kernel) in another folder:
// what lies in dir by its last name.
func (m Machine) In(dir string) Machine {
	move := func(f File) File { f.Path = filepath.Join(dir, filepath.Base(f.Path)); return f }
	m.RAM = move(m.RAM)
	m.NVDIMMs, m.VirtioPmem = slices.Clone(m.NVDIMMs), slices.Clone(m.VirtioPmem)
	for _, files := range [][]File{m.NVDIMMs, m.VirtioPmem} {
		for i := range files {
			files[i] = move(files[i])
		}
	}
	return m
}

// kernelArgs are those that every guest gets, and why.
var kernelArgs = []string{
	"console=" + arch.AMD64.Console,
	"quiet",             // a serial port under TCG is slow; panics are printed all the same
	"panic=-1",          // a panic restarts at once, and -no-reboot makes that QEMU's end
	"nokaslr",           // the kernel's own addresses are found without guessing, and boot is shorter
	"mitigations=off",   // nothing in a guest is secret, and they cost boot time under TCG
	"tsc=reliable",      // no calibration against other clocks
	"no_timer_check",    // no probing of the timer interrupt
	"cryptomgr.notests", // self tests of ciphers nobody uses here
	"audit=0",
	"secretmem.enable=1", // memfd_secret(2), which kernels before v6.5 have but refuse
	// A processor that is busy in the kernel for 20 s is a slow host's as likely as a
	// lockup, and what does not return is seen without watchdogs: 120 s both.
	"watchdog_thresh=60",
	"rcupdate.rcu_cpu_stall_timeout=120",
	"random.trust_cpu=on", // the processor has RDRAND: the pool is ready without waiting for interrupts
}

// Pmem devices lie behind 4 GiB, each at a multiple of pmemStep, in order:
// NVDIMMs, then VirtioPmem.
const (
	pmemBase int64 = 4 << 30
	pmemStep int64 = 1 << 30
)

// virtioPmemSlot is the PCI slot of VirtioPmem[0]; the others follow.
const virtioPmemSlot = 0x10

// VirtioPmemPCI is the PCI address of VirtioPmem[i], as sysfs writes it.
func VirtioPmemPCI(i int) string { return fmt.Sprintf("0000:00:%02x.0", virtioPmemSlot+i) }

// cpu is the processor's model.
func (m Machine) cpu() string {
	if m.CPU == "" && m.Accel == KVM {
		return arch.AMD64.QEMU.HostCPU
	}
	return cmp.Or(m.CPU, arch.AMD64.QEMU.CPU)
}

// without is what q35 has also under -nodefaults and no guest needs: what is not
// emulated can't be attacked.
const without = "graphics=off,vmport=off,sata=off,smbus=off,i8042=off"

// NVDIMMAddr is the guest physical address of the first byte of NVDIMMs[i].
func (m Machine) NVDIMMAddr(i int) int64 {
	addr := pmemBase
	for _, f := range m.NVDIMMs[:i] {
		addr += (f.Bytes + pmemStep - 1) / pmemStep * pmemStep
	}
	return addr
}

// escape makes a text the value of one of QEMU's options, where a comma ends it
// unless it is doubled (qemu(1)).
func escape(text string) string { return strings.ReplaceAll(text, ",", ",,") }

// Args are QEMU's arguments, without those of the monitor, console and serial
// ports, which Start adds because it owns the file descriptors.
func (m Machine) Args() []string {
	share := "off"
	if m.Share {
		share = "on"
	}
	cpus := max(m.CPUs, 1)
	slots := len(m.NVDIMMs) + len(m.VirtioPmem)
	machine := fmt.Sprintf("%s,accel=%s,memory-backend=ram,%s", arch.AMD64.QEMU.Machine, m.Accel, without)
	if len(m.NVDIMMs) > 0 {
		machine += ",nvdimm=on"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		// The guest goes on after it told pvpanic: a panic in a machine check's
		// context prints its text only then.
		"-action", "panic=none",
		"-machine", machine,
		"-cpu", m.cpu(),
		"-smp", fmt.Sprint(cpus),
		"-m", fmt.Sprintf("%dM,slots=%d,maxmem=%dG", m.RAM.Bytes/MiB, slots+1, 4+4*slots),
		"-object", fmt.Sprintf("memory-backend-file,id=ram,share=%s,mem-path=%s,size=%d", share, escape(m.RAM.Path), m.RAM.Bytes),
	}
	// Addresses are given, because QEMU would choose them, and a device is told
	// from another by its address only.
	addr := pmemBase
	device := func(id, driver, address string, f File) {
		args = append(args,
			"-object", fmt.Sprintf("memory-backend-file,id=mem-%s,share=%s,mem-path=%s,size=%d,align=2M", id, share, escape(f.Path), f.Bytes),
			"-device", fmt.Sprintf("%s,id=%s,memdev=mem-%s,%s=%#x", driver, id, id, address, addr))
		addr += (f.Bytes + pmemStep - 1) / pmemStep * pmemStep
	}
	for i, f := range m.NVDIMMs {
		device(fmt.Sprint("nvdimm", i), "nvdimm", "addr", f)
	}
	for i, f := range m.VirtioPmem {
		device(fmt.Sprint("virtio", i), fmt.Sprintf("virtio-pmem-pci,addr=%#x", virtioPmemSlot+i), "memaddr", f)
	}
	args = append(args,
		// SSH: the host's side of it listens on a free port of the loopback
		// address only, and the guest reaches nothing else (restrict).
		"-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22",
		"-device", "virtio-net-pci,netdev=net,romfile=,guest_announce=off", // no option ROM: nobody boots from it
		"-device", "pvpanic",
	)
	if m.Incoming {
		// The kernel is in the memory files already; to load it again would
		// only take time.
		return append(args, "-incoming", "defer")
	}
	return append(args, "-kernel", m.Kernel, "-initrd", m.Initrd, "-append", m.KernelCommandLine())
}

// KernelCommandLine is what -append gets.
func (m Machine) KernelCommandLine() string {
	words := append([]string{}, kernelArgs...)
	if m.E820Bytes > 0 {
		words = append(words, fmt.Sprintf("memmap=%dM!%dM", m.E820Bytes/MiB, m.E820Addr/MiB))
	}
	if m.Append != "" {
		words = append(words, m.Append)
	}
	return strings.Join(words, " ")
}
