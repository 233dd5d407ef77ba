package victim

import (
	"bytes"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// span is the alignment of spans of the Go heap: the runtime's page size.
const span = 8 << 10

// Stock makes the process allocate its memory before the guest is frozen, and not in
// every clone: a nearly unused span of the Go heap for each small size class, and the
// pages of all writable memory.
func Stock() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, class := range m.BySize {
		if class.Size == 0 || class.Size > 2<<10 {
			continue
		}
		const most = 2 * span / 8 // objects; there may be no fresh span
		for n := 0; n < most && !fresh(make([]byte, class.Size)); n++ {
		}
		pointers := class.Size / 8
		if class.Size > 512 { // the runtime adds a header of one word (runtime/mbitmap.go: heapBitsInSpan)
			pointers--
		}
		for n := 0; n < most && !fresh(make([]*byte, pointers)); n++ {
		}
	}
	populate()
}

// fresh reports whether an object is the first of its span.
func fresh[T any](object []T) bool {
	kept = unsafe.Pointer(unsafe.SliceData(object))
	return uintptr(kept)%span < 16
}

// kept makes the compiler allocate objects that are never used on the heap.
var kept unsafe.Pointer

// populate makes all private writable memory of this process present. Kernels before 5.14
// do not have MADV_POPULATE_WRITE (madvise(2)): there pages are allocated on the first
// write.
func populate() {
	fd, err := unix.Open("/proc/self/maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	maps := make([]byte, 0, 64<<10)
	for {
		n, err := FD(fd).Read(maps[len(maps):cap(maps)])
		if err != nil {
			break
		}
		maps = maps[:len(maps)+n]
	}
	for line := range bytes.Lines(maps) {
		bounds, rest, _ := bytes.Cut(line, []byte(" "))
		from, to, _ := bytes.Cut(bounds, []byte("-"))
		begin, err := strconv.ParseUint(string(from), 16, 64)
		end, wrong := strconv.ParseUint(string(to), 16, 64)
		if err == nil && wrong == nil && bytes.HasPrefix(rest, []byte("rw-p ")) {
			_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_POPULATE_WRITE)
		}
	}
}
