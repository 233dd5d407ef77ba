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

// A guest that breaks out of QEMU has QEMU's rights. Where the caller is root,
// QEMU is therefore started as nobody, in no other group. It opens what it is
// given as descriptors, because it may enter none of root's folders: an open of
// /proc/self/fd/N asks for the file's own permissions, and for no folder's
// (proc_pid_fd(5)).

// nobody is the user that QEMU gets; nil means the caller's, who is not root, or
// root without what it takes to start and to end another user's process.
func nobody() *syscall.Credential {
	var data [2]unix.CapUserData
	if os.Geteuid() != 0 || unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]) != nil {
		return nil
	}
	const needed = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL | 1<<unix.CAP_CHOWN
	if data[0].Effective&needed != needed {
		return nil
	}
	who, err := user.Lookup("nobody")
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// as is the user for a machine: with KVM one who can open /dev/kvm, which may take
// its group. Where only root can, QEMU stays root.
func (b Binary) as(a Accel) *syscall.Credential {
	if b.User == nil || a != KVM {
		return b.User
	}
	var dev unix.Stat_t
	if err := unix.Stat("/dev/kvm", &dev); err != nil {
		return b.User // QEMU will say so
	}
	return withDevice(*b.User, dev.Mode, dev.Gid)
}

// withDevice is a user who can open a device of that mode and group; nil where it
// would have to be root.
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

// given is the machine with its files as descriptors that the user can open:
// memory for writing too, also where the guest's writes stay private, because QEMU
// opens it like that. give makes a file one of QEMU's descriptors.
func (m Machine) given(to *syscall.Credential, give func(*os.File) int) (Machine, error) {
	hand := func(path *string, flag int, bits fs.FileMode) error {
		f, err := os.OpenFile(*path, flag, 0)
		if err != nil {
			return fmt.Errorf("open what QEMU needs: %w", err)
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

// admit lets a user's group do with a file what the bits say, if it can't yet. The
// file stays its owner's.
func admit(f *os.File, to *syscall.Credential, bits fs.FileMode) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("look at %s: %w", f.Name(), err)
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
