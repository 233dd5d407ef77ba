package framework

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// InCore records whether mincore(2) reports the page at an address as resident.
func (v *Victim) InCore(ctx context.Context, a Addr) *Observation {
	note := "not resident"
	if v.setUp(ctx, "mincore", a, PageBytes(), Out(1)).Out[0][0]&1 != 0 {
		note = "resident"
	}
	return record(v.g.rec, v.Role, fmt.Sprintf("mincore(%s)", a), observe.Outcome{Note: note}, "")
}

// Node records the node of the page at an address, or the errno, as move_pages(2) reports
// it for a page that is not to be moved.
func (v *Victim) Node(ctx context.Context, a Addr) *Observation {
	pages := binary.LittleEndian.AppendUint64(nil, a.guest())
	status := int32(binary.LittleEndian.Uint32(v.setUp(ctx, "move_pages", 0, 1, pages, 0, Out(4), 0).Out[0]))
	note := fmt.Sprintf("node %d", status)
	if status < 0 {
		note = unix.ErrnoName(unix.Errno(-status))
	}
	return record(v.g.rec, v.Role, fmt.Sprintf("move_pages(%s)", a), observe.Outcome{Note: note}, "")
}

// pageCategories are categories of PAGEMAP_SCAN, by their bits (include/uapi/linux/fs.h).
var pageCategories = []struct {
	bit  int
	name string
}{{2, "file"}, {3, "present"}, {4, "swapped"}, {5, "zero page"}, {6, "huge"}}

// Scan records the categories of the page at an address, as the ioctl PAGEMAP_SCAN of
// /proc/PID/pagemap reports them (Documentation/admin-guide/mm/pagemap.rst), or the errno.
// It needs memory of the victim for the answer.
func (v *Victim) Scan(ctx context.Context, a, answer Addr) *Observation {
	const (
		argBytes    = 96 // struct pm_scan_arg
		request     = 3<<30 | argBytes<<16 | 'f'<<8 | 16
		regionBytes = 24 // struct page_region: start, end, categories
	)
	var mask uint64
	for _, c := range pageCategories {
		mask |= 1 << c.bit
	}
	fd := v.Open(ctx, "/proc/self/pagemap", "pagemap", unix.O_RDONLY)
	arg := make([]byte, argBytes)
	for at, word := range map[int]uint64{
		0: argBytes, 16: a.guest(), 24: a.guest() + v.g.page, 40: answer.guest(), 48: 1, 88: mask,
	} { // size, start, end, vec, vec_len, return_mask
		binary.LittleEndian.PutUint64(arg[at:], word)
	}
	v.g.approach(ctx, 1)
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{
		Name: "ioctl", Args: []wire.Arg{{Int: int64(fd.n)}, {Int: request}, {In: arg}},
	}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	if called.Errno == "" && called.Ret == 0 {
		o.Note = "nothing"
	} else if called.Errno == "" {
		region := v.g.readPart(ctx, fmt.Sprintf("/proc/%d/mem", v.PID), int64(answer.guest()), regionBytes)
		var names []string
		for _, c := range pageCategories {
			if binary.LittleEndian.Uint64([]byte(region)[16:])>>c.bit&1 != 0 {
				names = append(names, c.name)
			}
		}
		o.Note = cmp.Or(strings.Join(names, ", "), "nothing")
	}
	return record(v.g.rec, v.Role, fmt.Sprintf("PAGEMAP_SCAN %s", a), o, a.String())
}
