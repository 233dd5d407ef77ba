package framework

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// MapSecret maps memory that is not in the kernel's direct map (memfd_secret(2)).
func (v *Victim) MapSecret(ctx context.Context, bytes int64) *Mapping {
	opened := v.g.call(
		ctx,
		&wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "memfd_secret", Args: []wire.Arg{{Int: unix.O_CLOEXEC}}}},
	).Called
	switch opened.Errno {
	case "":
	case "ENOSYS":
		v.g.fail(&unsupported{"this kernel gives no secret memory, although its command line has secretmem.enable"})
	default:
		v.g.fail(fmt.Errorf("memfd_secret in %s: %s", v.Role, opened.Errno))
	}
	fd := FD{int(opened.Ret), "secret"}
	const base = 0x2000_0000_0000 // far from all other mappings of the victim
	v.setUp(ctx, "ftruncate", fd, bytes)
	got := v.setUp(ctx, "mmap", base, bytes, int(data), unix.MAP_SHARED, fd, 0)
	m := &Mapping{v: v, Name: fd.name, Addr: uint64(got.Ret), Bytes: bytes, fd: fd.n}
	v.maps = append(v.maps, m)
	record(v.g.rec, v.Role, fmt.Sprintf("map %s, %d bytes", m.Name, bytes), observe.Outcome{}, "")
	return m
}
