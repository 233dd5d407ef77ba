package framework

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// UFFD_FEATURE_SIGBUS makes an access to a missing page raise SIGBUS instead of waiting
// (include/uapi/linux/userfaultfd.h).
const UFFD_FEATURE_SIGBUS = 1 << 7

// Numbers of ioctls, and the sizes of their structs in bytes.
const (
	uffdAPI, uffdAPIBytes = 0x3f, 24

	uffdRegister, uffdPoison, uffdRangeBytes = 0x00, 0x08, 32

	uffdMove, uffdMoveBytes = 0x05, 40
)

// ioctlNumber is _IOWR for userfaultfd
// (Documentation/userspace-api/ioctl/ioctl-number.rst).
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

// Register registers n bytes for missing pages (UFFDIO_REGISTER_MODE_MISSING).
func (v *Victim) Register(ctx context.Context, fd FD, a Addr, n int64) {
	const missing = 1
	if errno := v.uffd(ctx, fd, uffdRegister, uffdRangeBytes, a.guest(), uint64(n), missing).Errno; errno != "" {
		v.g.fail(fmt.Errorf("register %d bytes at %s of %s for userfaultfd: %s", n, a, v.Role, errno))
	}
	record(v.g.rec, v.Role, fmt.Sprintf("register %s, %d bytes, for userfaultfd", a, n), observe.Outcome{}, "")
}

// MarkPoisoned marks n bytes of missing pages as poisoned (UFFDIO_POISON).
func (v *Victim) MarkPoisoned(ctx context.Context, fd FD, a Addr, n int64) *Observation {
	called := v.uffd(ctx, fd, uffdPoison, uffdRangeBytes, a.guest(), uint64(n))
	called.Out = nil // it contains the number of bytes marked
	return record(v.g.rec, v.Role, fmt.Sprintf("UFFDIO_POISON %s, %d bytes", a, n), v.called(called), "")
}

// MovePages moves n bytes of pages to an address that is registered for missing pages
// (UFFDIO_MOVE). It records the errno.
func (v *Victim) MovePages(ctx context.Context, fd FD, to, from Addr, n int64) *Observation {
	v.g.approach(ctx, 1)
	called := v.uffd(ctx, fd, uffdMove, uffdMoveBytes, to.guest(), from.guest(), uint64(n))
	called.Out = nil // it contains the number of bytes moved
	return record(v.g.rec, v.Role, fmt.Sprintf("UFFDIO_MOVE %s to %s, %d bytes", from, to, n), v.called(called), "")
}

// uffd makes an ioctl with a struct of that many bytes, which begins with these words.
func (v *Victim) uffd(ctx context.Context, fd FD, nr, bytes int64, words ...uint64) *wire.SyscallReply {
	var in []byte
	for _, w := range words {
		in = binary.LittleEndian.AppendUint64(in, w)
	}
	return v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{
		Name: "ioctl", Args: []wire.Arg{{Int: int64(fd.n)}, {Int: ioctlNumber(nr, bytes)}, {In: in, Out: int(bytes)}},
	}}).Called
}
