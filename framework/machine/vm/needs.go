package vm

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/kernels"
)

// Need is a configuration symbol without which no guest runs, and what it is for.
type Need struct{ Symbol, For string }

// Needs are what a guest itself needs of its kernel, whatever is done in it. A
// kernel with no more than these boots until its agent answers; what is not
// among them (ACPI, tmpfs, pvpanic, POSIX timers) a guest does without. Symbols
// that these select or depend on, and what every image has that can be booted
// at all, are left out.
func Needs() []Need {
	return []Need{
		{"PRINTK", "the kernel's log, which is a witness"},
		{"TTY", "the console"},
		{"SERIAL_8250", "the console"},
		{"SERIAL_8250_CONSOLE", "the console"},
		{"BLK_DEV_INITRD", "PID 1 comes in an initramfs, which is not compressed"},
		{"BINFMT_ELF", "PID 1 and the agent are ELF programs"},
		{"FUTEX", "they are Go programs"},
		{"EPOLL", "they are Go programs"},
		{"EVENTFD", "they are Go programs"},
		{"PROC_FS", "the kernel's command line has a key for PID 1"},
		{"SYSFS", "devices are found in it"},
		{"DEVTMPFS", "devices are opened in it"},
		{"PCI", "what virtio is plugged into"},
		{"VIRTIO_PCI", "what virtio is plugged into"},
		{"VIRTIO_CONSOLE", "the port on which the agent speaks"},
		{"NET", "SSH, over which the agent comes"},
		{"INET", "SSH, over which the agent comes"},
		{"VIRTIO_NET", "SSH, over which the agent comes"},
		{"BLOCK", "the disks that pmem is"},
		{"ADVISE_SYSCALLS", "files are made and taken from the page cache"},
	}
}

// Lacks are those of the Needs that a kernel has neither built in nor as a
// module; nil where a guest of it can run.
func Lacks(k *kernels.Kernel) []string {
	var symbols []string
	for _, n := range Needs() {
		symbols = append(symbols, n.Symbol)
	}
	return k.Lacks(symbols...)
}

// lacksNeeds is the trouble with a kernel whose configuration tells that no
// guest of it can run, nil where it does not. Told before a boot, it names all
// at once what the boot would tell one by one.
func lacksNeeds(k *kernels.Kernel) error {
	lacks := Lacks(k)
	if len(lacks) == 0 {
		return nil
	}
	set := "CONFIG_" + strings.Join(lacks, ", CONFIG_")
	return &GuestError{Kind: Refused, Doing: "boot", Kernel: k.Name, Err: fmt.Errorf("no guest runs without %s", set), Hint: "build the kernel with them"}
}
