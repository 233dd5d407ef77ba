package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// RingRead reads n bytes at an offset through a new ring (io_uring(7)) and records the
// result of the completion. The layouts are those of include/uapi/linux/io_uring.h.
func (v *Victim) RingRead(ctx context.Context, fd FD, n, offset int64) *Observation {
	const (
		paramsBytes          = 120 // struct io_uring_params
		sqTail, cqCQEs       = 44, 100
		ringBytes, sqeOffset = 4096, 0x10000000 // enough for one entry; IORING_OFF_SQES
		opRead, getEvents    = 22, 1            // IORING_OP_READ, IORING_ENTER_GETEVENTS
		cqeResult            = 8                // in struct io_uring_cqe
	)
	v.g.approach(ctx, 1)
	wired, _ := wireArgs([]any{1, Out(paramsBytes)})
	made := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "io_uring_setup", Args: wired}}).Called
	if made.Errno != "" { // the sysctl kernel.io_uring_disabled, for one
		v.g.fail(&unsupported{"this kernel gives no io_uring: " + made.Errno})
	}
	ring, params := int(made.Ret), made.Out[0]
	// The kernel chooses the address; it accepts no other for a ring.
	mapped := func(bytes int64, flags, fd, offset int) int {
		return int(v.setUp(ctx, "mmap", 0, bytes, int(data), flags|unix.MAP_POPULATE, fd, offset).Ret)
	}
	ringAt := mapped(ringBytes, unix.MAP_SHARED, ring, 0)
	sqeAt := mapped(ringBytes, unix.MAP_SHARED, ring, sqeOffset)
	bufferAt := mapped(n, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, -1, 0)

	word := func(kind wire.Kind, at, width int, value uint64) uint64 {
		return v.g.call(
			ctx,
			&wire.Request{To: v.id, Access: &wire.Access{Kind: kind, Addr: uint64(at), Width: width, Value: value}},
		).Accessed.Value
	}
	for i, w := range []uint64{opRead | uint64(fd.n)<<32, uint64(offset), uint64(bufferAt), uint64(n)} {
		word(wire.Store, sqeAt+8*i, 8, w)
	}
	word(wire.Store, ringAt+int(binary.LittleEndian.Uint32(params[sqTail:])), 4, 1)
	entered := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{
		Name: "io_uring_enter", Args: []wire.Arg{{Int: int64(ring)}, {Int: 1}, {Int: 1}, {Int: getEvents}, {}, {}},
	}}).Called
	o := observe.Outcome{Errno: entered.Errno, Signals: v.signals(entered.Signals)}
	if entered.Errno == "" {
		result := int64(int32(word(wire.Load, ringAt+int(binary.LittleEndian.Uint32(params[cqCQEs:]))+cqeResult, 4, 0)))
		if result < 0 {
			o.Errno = victim.ErrnoName(syscall.Errno(-result))
		} else {
			o.Ret = &result
		}
	}
	return record(v.g.rec, v.Role, fmt.Sprintf("io_uring read of %s, %d bytes at %d", fd.name, n, offset), o, "")
}
