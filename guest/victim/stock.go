package victim

import (
	"bytes"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// span is what a span of the Go heap begins at a multiple of: the runtime's page.
const span = 8 << 10

// Stock lets the process take its memory before the guest is frozen, and not in
// every clone: a span of the Go heap for each small size of objects, of which hardly
// any is taken yet, and the pages of all that it may write to.
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
		if class.Size > 512 { // one is the runtime's (runtime/mbitmap.go: heapBitsInSpan)
			pointers--
		}
		for n := 0; n < most && !fresh(make([]*byte, pointers)); n++ {
		}
	}
	populate()
}

// fresh says that an object is the first of its span.
func fresh[T any](object []T) bool {
	kept = unsafe.Pointer(unsafe.SliceData(object))
	return uintptr(kept)%span < 16
}

// kept has the compiler put what is only looked at on the heap.
var kept unsafe.Pointer

// populate makes all memory present that is this process's own and can be written
// to. Kernels before 5.14 do not know how (madvise(2): MADV_POPULATE_WRITE): there
// it comes when it is written to.
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
