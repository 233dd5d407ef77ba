package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// Dedupe makes one file share the extent of another at the same offset, if their contents
// are equal (ioctl_fideduperange(2)). It records the number of bytes shared, or the error
// for this file, which is in the ioctl's argument, not in its errno.
func (v *Victim) Dedupe(ctx context.Context, from, to FD, n, offset int64) *Observation {
	const (
		fideduperange = 0xc0189436
		head, info    = 24, 32 // struct file_dedupe_range, struct file_dedupe_range_info (include/uapi/linux/fs.h)
		differs       = 1      // FILE_DEDUPE_RANGE_DIFFERS
	)
	le := binary.LittleEndian
	in := le.AppendUint64(le.AppendUint64(nil, uint64(offset)), uint64(n))
	in = le.AppendUint64(in, 1) // dest_count
	in = le.AppendUint64(le.AppendUint64(in, uint64(to.n)), uint64(offset))
	v.g.approach(ctx, 1)
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{
		Name: "ioctl", Args: []wire.Arg{{Int: int64(from.n)}, {Int: fideduperange}, {In: in, Out: head + info}},
	}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	if called.Errno == "" {
		out := called.Out[0][head:]
		switch status := int32(le.Uint32(out[24:])); {
		case status == differs:
			o.Note = "differs"
		case status < 0:
			o.Errno = victim.ErrnoName(syscall.Errno(-status))
		default:
			shared := int64(le.Uint64(out[16:]))
			o.Ret = &shared
		}
	}
	return record(
		v.g.rec,
		v.Role,
		fmt.Sprintf("FIDEDUPERANGE of %d bytes from %s to %s, both from %d", n, from.name, to.name, offset),
		o,
		"",
	)
}
