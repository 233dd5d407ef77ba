// Package required lists the kernel configuration symbols without which no guest
// runs. What single scenarios need is declared by them.
package required

// Need is a configuration symbol, without CONFIG_, and what needs it.
type Need struct{ Symbol, For string }

// Needs returns the symbols that every guest needs. A kernel with these boots
// until its agent answers; ACPI, tmpfs, pvpanic and POSIX timers are not
// required. Symbols that these select or depend on, and those that every bootable
// image has, are left out.
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
		{"PCI", "the bus of the virtio devices"},
		{"VIRTIO_PCI", "the bus of the virtio devices"},
		{"VIRTIO_CONSOLE", "the port on which the agent answers"},
		{"NET", "SSH, over which the agent comes"},
		{"INET", "SSH, over which the agent comes"},
		{"VIRTIO_NET", "SSH, over which the agent comes"},
		{"BLOCK", "pmem devices are block devices"},
		{"ADVISE_SYSCALLS", "posix_fadvise(2) takes files out of the page cache"},
	}
}

// Symbols returns the names of the required symbols.
func Symbols() []string {
	var names []string
	for _, s := range Needs() {
		names = append(names, s.Symbol)
	}
	return names
}
