package framework

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// UFFD_FEATURE_SIGBUS has a missing page signalled, not waited for
// (include/uapi/linux/userfaultfd.h, like all below).
const UFFD_FEATURE_SIGBUS = 1 << 7

// ioctl numbers: what they are of, and how many bytes they read and write.
const (
	uffdAPI, uffdAPIBytes = 0x3f, 24

	uffdRegister, uffdPoison, uffdRangeBytes = 0x00, 0x08, 32
)

// ioctlNumber is _IOWR of userfaultfd's (Documentation/userspace-api/ioctl/ioctl-number.rst).
func ioctlNumber(nr, bytes int64) int64 { return 3<<30 | bytes<<16 | 0xaa<<8 | nr }

// Userfaultfd opens a userfaultfd(2) in the victim, with these features.
func (v *Victim) Userfaultfd(ctx context.Context, features uint64) FD {
	seen := v.Syscall(ctx, "userfaultfd", unix.O_CLOEXEC)
	if seen.Errno != "" {
		v.g.fail(fmt.Errorf("userfaultfd in %s: %s", v.Role, seen.Errno))
	}
	fd := FD{int(*seen.Ret), "userfaultfd"}
	const version = 0xaa
	v.uffd(ctx, fd, uffdAPI, uffdAPIBytes, version, features)
	return fd
}

// Register has missing pages of n bytes looked after (UFFDIO_REGISTER_MODE_MISSING).
func (v *Victim) Register(ctx context.Context, fd FD, a Addr, n int64) {
	const missing = 1
	if errno := v.uffd(ctx, fd, uffdRegister, uffdRangeBytes, a.guest(), uint64(n), missing).Errno; errno != "" {
		v.g.fail(fmt.Errorf("register %d bytes at %s of %s for userfaultfd: %s", n, a, v.Role, errno))
	}
	record(v.g.rec, v.Role, fmt.Sprintf("register %s, %d bytes, for userfaultfd", a, n), observe.Outcome{}, "")
}

// MarkPoisoned says of n bytes that are not there that they are poison (UFFDIO_POISON).
func (v *Victim) MarkPoisoned(ctx context.Context, fd FD, a Addr, n int64) *Observation {
	called := v.uffd(ctx, fd, uffdPoison, uffdRangeBytes, a.guest(), uint64(n))
	called.Out = nil // in which is how much was marked
	return record(v.g.rec, v.Role, fmt.Sprintf("UFFDIO_POISON %s, %d bytes", a, n), v.called(called), "")
}

// uffd makes an ioctl with a struct of so many bytes that begins with these words.
func (v *Victim) uffd(ctx context.Context, fd FD, nr, bytes int64, words ...uint64) *wire.SyscallReply {
	var in []byte
	for _, w := range words {
		in = binary.LittleEndian.AppendUint64(in, w)
	}
	return v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{
		Name: "ioctl", Args: []wire.Arg{{Int: int64(fd.n)}, {Int: ioctlNumber(nr, bytes)}, {In: in, Out: int(bytes)}},
	}}).Called
}
