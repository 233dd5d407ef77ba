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

// Accel is the accelerator that runs the guest's instructions.
type Accel string

const (
	TCG Accel = "tcg" // QEMU's translator, which works everywhere
	KVM Accel = "kvm" // the host's CPU, through /dev/kvm
)

// File is a file that backs guest memory.
type File struct {
	Path  string
	Bytes int64
}

// Machine describes an x86-64 guest. It builds both QEMU's arguments and the kernel's,
// because many devices need both.
type Machine struct {
	Accel Accel
	CPUs  int // 0 means 1
	// CPU is the CPU model for -cpu; empty means the architecture's default, or the
	// host's CPU with KVM.
	CPU    string
	Kernel string
	Initrd string
	// Append is appended to the kernel arguments that the machine itself needs.
	Append string

	// RAM backs the guest's memory.
	RAM File
	// NVDIMMs are the devices of the ACPI NFIT. The kernel chooses the order of their names.
	NVDIMMs []File
	// VirtioPmem are virtio-pmem devices, in order.
	VirtioPmem []File
	// E820Addr and E820Bytes are a range of RAM (guest physical address, bytes) that the
	// kernel uses as persistent memory (memmap=SIZE!ADDR, handled by nd_e820).
	E820Addr, E820Bytes int64

	// Node describes the memory as that of a NUMA node (ACPI SRAT), and the pmem devices'
	// addresses as memory that can be added to it.
	Node bool

	// Share makes the guest's writes to RAM and pmem reach the files. Without it they
	// stay private to the guest, so that many guests can use the files.
	Share bool
	// Incoming starts the guest paused, to receive a migration stream.
	Incoming bool
}

// In returns the machine with its memory files (not the kernel) moved to the folder dir,
// under the same base names.
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

// kernelArgs are the kernel arguments of all guests, with their reasons.
var kernelArgs = []string{
	"console=" + arch.AMD64.Console,
	"quiet",             // a serial port under TCG is slow; panics are printed nevertheless
	"panic=-1",          // a panic restarts the machine at once, which ends QEMU (-no-reboot)
	"nokaslr",           // the kernel's addresses are known, and the boot is shorter
	"mitigations=off",   // a guest contains no secrets, and they cost boot time under TCG
	"tsc=reliable",      // no calibration against other clocks
	"no_timer_check",    // no probing of the timer interrupt
	"cryptomgr.notests", // no self-tests of unused ciphers
	"audit=0",
	"secretmem.enable=1", // memfd_secret(2), which is disabled by default before v6.5
	"ia32_emulation=1",   // 32-bit victims; some configurations disable them by default
	// A CPU that is busy in the kernel for 20 s may be a slow host as well as a lockup,
	// and hangs are detected without watchdogs: 120 s for both.
	"watchdog_thresh=60",
	"rcupdate.rcu_cpu_stall_timeout=120",
	"random.trust_cpu=on", // the CPU has RDRAND: the pool is ready without waiting for interrupts
}

// Pmem devices are above 4 GiB, each at a multiple of pmemStep, in order: NVDIMMs, then
// VirtioPmem.
const (
	pmemBase int64 = 4 << 30
	pmemStep int64 = 1 << 30
)

// virtioPmemSlot is the PCI slot of VirtioPmem[0]; the others follow.
const virtioPmemSlot = 0x10

// VirtioPmemPCI returns the PCI address of VirtioPmem[i], in the form of sysfs.
func VirtioPmemPCI(i int) string { return fmt.Sprintf("0000:00:%02x.0", virtioPmemSlot+i) }

// cpu returns the CPU model.
func (m Machine) cpu() string {
	if m.CPU == "" && m.Accel == KVM {
		return arch.AMD64.QEMU.HostCPU
	}
	return cmp.Or(m.CPU, arch.AMD64.QEMU.CPU)
}

// without disables devices that q35 has even with -nodefaults and that no guest needs:
// devices that are not emulated cannot be attacked.
const without = "graphics=off,vmport=off,sata=off,smbus=off,i8042=off"

// NVDIMMAddr returns the guest physical address of the first byte of NVDIMMs[i].
func (m Machine) NVDIMMAddr(i int) int64 {
	addr := pmemBase
	for _, f := range m.NVDIMMs[:i] {
		addr += (f.Bytes + pmemStep - 1) / pmemStep * pmemStep
	}
	return addr
}

// escape escapes the value of a QEMU option: a comma ends it, unless it is doubled
// (qemu(1)).
func escape(text string) string { return strings.ReplaceAll(text, ",", ",,") }

// Args returns QEMU's arguments, without those of the monitor, console and serial ports,
// which Start adds because it owns the file descriptors.
func (m Machine) Args() []string {
	share := "off"
	if m.Share {
		share = "on"
	}
	cpus := max(m.CPUs, 1)
	slots := len(m.NVDIMMs) + len(m.VirtioPmem)
	machine := fmt.Sprintf("%s,accel=%s,%s", arch.AMD64.QEMU.Machine, m.Accel, without)
	if !m.Node { // a node has its memory itself
		machine = fmt.Sprintf("%s,accel=%s,memory-backend=ram,%s", arch.AMD64.QEMU.Machine, m.Accel, without)
	}
	if len(m.NVDIMMs) > 0 {
		machine += ",nvdimm=on"
	}
	args := []string{
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-no-reboot",
		// The guest continues after it has notified pvpanic: a panic in the context of a
		// machine check prints its text only after that.
		"-action",
		"panic=none",
		"-machine",
		machine,
		"-cpu",
		m.cpu(),
		"-smp",
		fmt.Sprint(cpus),
		"-m",
		fmt.Sprintf("%dM,slots=%d,maxmem=%dG", m.RAM.Bytes/MiB, slots+1, 4+4*slots),
		"-object",
		fmt.Sprintf("memory-backend-file,id=ram,share=%s,mem-path=%s,size=%d", share, escape(m.RAM.Path), m.RAM.Bytes),
	}
	if m.Node {
		args = append(args, "-numa", "node,nodeid=0,memdev=ram")
	}
	// Addresses are explicit, because devices are identified by their addresses only,
	// which QEMU would otherwise choose.
	addr := pmemBase
	device := func(id, driver, address string, f File) {
		args = append(
			args,
			"-object",
			fmt.Sprintf(
				"memory-backend-file,id=mem-%s,share=%s,mem-path=%s,size=%d,align=2M",
				id,
				share,
				escape(f.Path),
				f.Bytes,
			),
			"-device",
			fmt.Sprintf("%s,id=%s,memdev=mem-%s,%s=%#x", driver, id, id, address, addr),
		)
		addr += (f.Bytes + pmemStep - 1) / pmemStep * pmemStep
	}
	for i, f := range m.NVDIMMs {
		device(fmt.Sprint("nvdimm", i), "nvdimm", "addr", f)
	}
	for i, f := range m.VirtioPmem {
		device(fmt.Sprint("virtio", i), fmt.Sprintf("virtio-pmem-pci,addr=%#x", virtioPmemSlot+i), "memaddr", f)
	}
	args = append(args,
		// SSH: the host listens on a free port of the loopback address only, and the
		// guest has no other network access (restrict).
		"-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22",
		"-device", "virtio-net-pci,netdev=net,romfile=,guest_announce=off", // no option ROM: guests do not boot from it
		"-device", "pvpanic",
	)
	if m.Incoming {
		// The kernel is in the memory files already.
		return append(args, "-incoming", "defer")
	}
	return append(args, "-kernel", m.Kernel, "-initrd", m.Initrd, "-append", m.KernelCommandLine())
}

// KernelCommandLine returns the value of -append.
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
