package framework

import (
	"context"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
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
