//go:build !386

package victim

import "golang.org/x/sys/unix"

// Number returns the number of a system call on this architecture. It is a switch
// and not a map, which would be filled each time a victim starts.
func Number(name string) (uintptr, bool) {
	switch name {
	case "read":
		return unix.SYS_READ, true
	case "write":
		return unix.SYS_WRITE, true
	case "pread64":
		return unix.SYS_PREAD64, true
	case "pwrite64":
		return unix.SYS_PWRITE64, true
	case "readv":
		return unix.SYS_READV, true
	case "writev":
		return unix.SYS_WRITEV, true
	case "preadv":
		return unix.SYS_PREADV, true
	case "pwritev":
		return unix.SYS_PWRITEV, true
	case "preadv2":
		return unix.SYS_PREADV2, true
	case "pwritev2":
		return unix.SYS_PWRITEV2, true
	case "openat":
		return unix.SYS_OPENAT, true
	case "finit_module":
		return unix.SYS_FINIT_MODULE, true
	case "close":
		return unix.SYS_CLOSE, true
	case "lseek":
		return unix.SYS_LSEEK, true
	case "fstat":
		return unix.SYS_FSTAT, true
	case "statx":
		return unix.SYS_STATX, true
	case "statfs":
		return unix.SYS_STATFS, true
	case "fstatfs":
		return unix.SYS_FSTATFS, true
	case "ftruncate":
		return unix.SYS_FTRUNCATE, true
	case "fallocate":
		return unix.SYS_FALLOCATE, true
	case "fadvise64":
		return unix.SYS_FADVISE64, true
	case "fsync":
		return unix.SYS_FSYNC, true
	case "fdatasync":
		return unix.SYS_FDATASYNC, true
	case "sync":
		return unix.SYS_SYNC, true
	case "syncfs":
		return unix.SYS_SYNCFS, true
	case "sync_file_range":
		return unix.SYS_SYNC_FILE_RANGE, true
	case "unlinkat":
		return unix.SYS_UNLINKAT, true
	case "mkdirat":
		return unix.SYS_MKDIRAT, true
	case "renameat2":
		return unix.SYS_RENAMEAT2, true
	case "linkat":
		return unix.SYS_LINKAT, true
	case "symlinkat":
		return unix.SYS_SYMLINKAT, true
	case "readlinkat":
		return unix.SYS_READLINKAT, true
	case "execve":
		return unix.SYS_EXECVE, true
	case "fchmod":
		return unix.SYS_FCHMOD, true
	case "getdents64":
		return unix.SYS_GETDENTS64, true
	case "mmap":
		return unix.SYS_MMAP, true
	case "munmap":
		return unix.SYS_MUNMAP, true
	case "mremap":
		return unix.SYS_MREMAP, true
	case "mprotect":
		return unix.SYS_MPROTECT, true
	case "madvise":
		return unix.SYS_MADVISE, true
	case "process_madvise":
		return unix.SYS_PROCESS_MADVISE, true
	case "msync":
		return unix.SYS_MSYNC, true
	case "mlock":
		return unix.SYS_MLOCK, true
	case "mlock2":
		return unix.SYS_MLOCK2, true
	case "munlock":
		return unix.SYS_MUNLOCK, true
	case "mlockall":
		return unix.SYS_MLOCKALL, true
	case "munlockall":
		return unix.SYS_MUNLOCKALL, true
	case "mincore":
		return unix.SYS_MINCORE, true
	case "remap_file_pages":
		return unix.SYS_REMAP_FILE_PAGES, true
	case "process_vm_readv":
		return unix.SYS_PROCESS_VM_READV, true
	case "process_vm_writev":
		return unix.SYS_PROCESS_VM_WRITEV, true
	case "ptrace":
		return unix.SYS_PTRACE, true
	case "vmsplice":
		return unix.SYS_VMSPLICE, true
	case "splice":
		return unix.SYS_SPLICE, true
	case "tee":
		return unix.SYS_TEE, true
	case "sendfile":
		return unix.SYS_SENDFILE, true
	case "copy_file_range":
		return unix.SYS_COPY_FILE_RANGE, true
	case "ioctl":
		return unix.SYS_IOCTL, true
	case "fcntl":
		return unix.SYS_FCNTL, true
	case "dup":
		return unix.SYS_DUP, true
	case "dup3":
		return unix.SYS_DUP3, true
	case "pipe2":
		return unix.SYS_PIPE2, true
	case "ppoll":
		return unix.SYS_PPOLL, true
	case "mount":
		return unix.SYS_MOUNT, true
	case "umount2":
		return unix.SYS_UMOUNT2, true
	case "swapon":
		return unix.SYS_SWAPON, true
	case "swapoff":
		return unix.SYS_SWAPOFF, true
	case "memfd_create":
		return unix.SYS_MEMFD_CREATE, true
	case "memfd_secret":
		return unix.SYS_MEMFD_SECRET, true
	case "userfaultfd":
		return unix.SYS_USERFAULTFD, true
	case "io_uring_setup":
		return unix.SYS_IO_URING_SETUP, true
	case "io_uring_enter":
		return unix.SYS_IO_URING_ENTER, true
	case "io_uring_register":
		return unix.SYS_IO_URING_REGISTER, true
	case "io_setup":
		return unix.SYS_IO_SETUP, true
	case "io_submit":
		return unix.SYS_IO_SUBMIT, true
	case "io_getevents":
		return unix.SYS_IO_GETEVENTS, true
	case "io_destroy":
		return unix.SYS_IO_DESTROY, true
	case "signalfd4":
		return unix.SYS_SIGNALFD4, true
	case "rt_sigtimedwait":
		return unix.SYS_RT_SIGTIMEDWAIT, true
	case "rt_sigprocmask":
		return unix.SYS_RT_SIGPROCMASK, true
	case "rt_sigpending":
		return unix.SYS_RT_SIGPENDING, true
	case "rt_tgsigqueueinfo":
		return unix.SYS_RT_TGSIGQUEUEINFO, true
	case "kill":
		return unix.SYS_KILL, true
	case "tkill":
		return unix.SYS_TKILL, true
	case "tgkill":
		return unix.SYS_TGKILL, true
	case "wait4":
		return unix.SYS_WAIT4, true
	case "waitid":
		return unix.SYS_WAITID, true
	case "getpid":
		return unix.SYS_GETPID, true
	case "gettid":
		return unix.SYS_GETTID, true
	case "getppid":
		return unix.SYS_GETPPID, true
	case "prctl":
		return unix.SYS_PRCTL, true
	case "prlimit64":
		return unix.SYS_PRLIMIT64, true
	case "futex":
		return unix.SYS_FUTEX, true
	case "sched_yield":
		return unix.SYS_SCHED_YIELD, true
	case "nanosleep":
		return unix.SYS_NANOSLEEP, true
	case "clock_nanosleep":
		return unix.SYS_CLOCK_NANOSLEEP, true
	case "socketpair":
		return unix.SYS_SOCKETPAIR, true
	case "sendto":
		return unix.SYS_SENDTO, true
	case "recvfrom":
		return unix.SYS_RECVFROM, true
	case "sendmsg":
		return unix.SYS_SENDMSG, true
	case "recvmsg":
		return unix.SYS_RECVMSG, true
	case "shmget":
		return unix.SYS_SHMGET, true
	case "shmat":
		return unix.SYS_SHMAT, true
	case "shmdt":
		return unix.SYS_SHMDT, true
	case "shmctl":
		return unix.SYS_SHMCTL, true
	case "pidfd_open":
		return unix.SYS_PIDFD_OPEN, true
	case "pidfd_getfd":
		return unix.SYS_PIDFD_GETFD, true
	case "eventfd2":
		return unix.SYS_EVENTFD2, true
	case "epoll_create1":
		return unix.SYS_EPOLL_CREATE1, true
	case "mbind":
		return unix.SYS_MBIND, true
	case "move_pages":
		return unix.SYS_MOVE_PAGES, true
	case "migrate_pages":
		return unix.SYS_MIGRATE_PAGES, true
	case "getrandom":
		return unix.SYS_GETRANDOM, true
	case "exit_group":
		return unix.SYS_EXIT_GROUP, true
	}
	return 0, false
}
