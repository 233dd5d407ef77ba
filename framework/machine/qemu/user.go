package qemu

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A guest that escapes from QEMU has QEMU's privileges. If the caller is root, QEMU
// therefore runs as nobody, without supplementary groups. It opens its files through
// descriptors, because it cannot enter root's folders: opening /proc/self/fd/N requires
// the permissions of the file, but not those of folders (proc_pid_fd(5)).

// nobody returns the user that QEMU runs as; nil means the current user, if that is not
// root, or does not have the capabilities to start and kill another user's process.
func nobody() *syscall.Credential {
	var data [2]unix.CapUserData
	if os.Geteuid() != 0 || unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]) != nil {
		return nil
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL | 1<<unix.CAP_CHOWN
	if data[0].Effective&needed != needed {
		return nil
	}
	account, err := user.Lookup("nobody")
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// as returns the user for an accelerator: with KVM one that can open /dev/kvm, with the
// device's group if necessary. If only root can open it, QEMU runs as root.
func (b Binary) as(a Accel) *syscall.Credential {
	if b.User == nil || a != KVM {
		return b.User
	}
	var dev unix.Stat_t
	if err := unix.Stat("/dev/kvm", &dev); err != nil {
		return b.User // QEMU will report the error
	}
	return withDevice(*b.User, dev.Mode, dev.Gid)
}

// withDevice returns the user with the group to open a device of that mode and group; nil
// if only root can.
func withDevice(user syscall.Credential, mode, gid uint32) *syscall.Credential {
	switch {
	case mode&0o006 == 0o006:
		return &user
	case mode&0o060 == 0o060 && gid != 0:
		user.Groups = []uint32{gid}
		return &user
	}
	return nil
}

// given returns the machine with its files as descriptors that the user can open. Memory
// is opened for writing even if the guest's writes stay private, because QEMU opens it
// like that. give makes a file one of QEMU's descriptors and returns its number.
func (m Machine) given(to *syscall.Credential, give func(*os.File) int) (Machine, error) {
	hand := func(path *string, flag int, bits fs.FileMode) error {
		f, err := os.OpenFile(*path, flag, 0)
		if err != nil {
			return fmt.Errorf("open a file for QEMU: %w", err)
		}
		*path = fmt.Sprint("/proc/self/fd/", give(f))
		return admit(f, to, bits)
	}
	m.NVDIMMs, m.VirtioPmem = slices.Clone(m.NVDIMMs), slices.Clone(m.VirtioPmem)
	memory := []*string{&m.RAM.Path}
	for _, files := range [][]File{m.NVDIMMs, m.VirtioPmem} {
		for i := range files {
			memory = append(memory, &files[i].Path)
		}
	}
	for _, path := range memory {
		if err := hand(path, os.O_RDWR, 0o060); err != nil {
			return m, err
		}
	}
	if m.Incoming { // its kernel is in its memory
		return m, nil
	}
	for _, path := range []*string{&m.Kernel, &m.Initrd} {
		if err := hand(path, os.O_RDONLY, 0o040); err != nil {
			return m, err
		}
	}
	return m, nil
}

// admit gives the user's group the permissions in bits on a file, if it does not have
// them yet. The file keeps its owner.
func admit(f *os.File, to *syscall.Credential, bits fs.FileMode) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	if fs.FileMode(st.Mode)&bits == bits && st.Gid == to.Gid {
		return nil
	}
	if err := f.Chown(-1, int(to.Gid)); err != nil {
		return fmt.Errorf("let QEMU's user open %s: %w", f.Name(), err)
	}
	if err := f.Chmod(fs.FileMode(st.Mode)&fs.ModePerm | bits); err != nil {
		return fmt.Errorf("let QEMU's user open %s: %w", f.Name(), err)
	}
	return nil
}
