package victim

import (
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// After Stock, the next objects of every small size class come from existing spans whose
// pages are present.
func TestStock(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would release the spans
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // each P has spans of its own
	Stock()
	there := make([]byte, 1)
	size, page := 16, uintptr(unix.Getpagesize())
	for ; size <= 2<<10; size *= 2 {
		object := make([]byte, size)
		if fresh(object) {
			t.Errorf("%d bytes: allocated a new span", size)
		}
		at := uintptr(unsafe.Pointer(&object[size-1])) &^ (page - 1)
		if _, _, e := unix.RawSyscall(unix.SYS_MINCORE, at, page, uintptr(unsafe.Pointer(&there[0]))); e != 0 || there[0]&1 == 0 {
			t.Errorf("%d bytes: page not present (%v)", size, e)
		}
	}
}
