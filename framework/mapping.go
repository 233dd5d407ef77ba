package framework

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/guest/wire"
)

// Mapping is memory that a victim mapped.
//
// Its name in steps is the file's name, "anon" or "secret". If the victim has a mapping
// of that name already, the new one is called NAME#N, where N counts all of the victim's
// mappings. A victim that maps "file", "anon" and "file" again has file, anon and file#3.
type Mapping struct {
	v     *Victim
	Name  string // canonical: "file", "anon", "file#2"
	Addr  uint64
	Bytes int64
	from  int64 // the offset in the file
	fd    int
}

// Addr is an address in a mapping.
type Addr struct {
	m      *Mapping
	offset int64
}

// At returns the address offset bytes into the mapping.
func (m *Mapping) At(offset int64) Addr { return Addr{m, offset} }

// FD returns the mapped file's descriptor in the victim, for system calls.
func (m *Mapping) FD() FD { return FD{m.fd, m.Name} }

// String returns the canonical form, "file+0x4000".
func (a Addr) String() string { return fmt.Sprintf("%s+%#x", a.m.Name, a.offset) }

func (a Addr) guest() uint64 { return a.m.Addr + uint64(a.offset) }

// MapFlags are flags of mmap(2).
type MapFlags int

const (
	Shared    MapFlags = unix.MAP_SHARED
	Private   MapFlags = unix.MAP_PRIVATE
	Sync      MapFlags = unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC
	Anonymous MapFlags = unix.MAP_ANONYMOUS
	// HugeTLB uses huge pages that Guest.HugePages reserved.
	HugeTLB MapFlags = unix.MAP_HUGETLB
	// Gigantic uses the hugetlb page of 1 GiB that Guest.GiganticPage reserved.
	Gigantic MapFlags = unix.MAP_HUGETLB | 30<<unix.MAP_HUGE_SHIFT
	// Populate faults the pages in at once.
	Populate MapFlags = unix.MAP_POPULATE
)

func (f MapFlags) String() string {
	var words []string
	switch {
	case f&Sync == Sync:
		words = append(words, "MAP_SYNC")
	case f&Private != 0:
		words = append(words, "private")
	default:
		words = append(words, "shared")
	}
	if f&Anonymous != 0 {
		words = append(words, "anonymous")
	}
	switch {
	case f&Gigantic == Gigantic:
		words = append(words, "hugetlb of 1 GiB")
	case f&HugeTLB != 0:
		words = append(words, "hugetlb")
	}
	if f&Populate != 0 {
		words = append(words, "populated")
	}
	return strings.Join(words, " ")
}

// Map maps a whole file, readable and writable. An error of mmap ends the scenario.
func (v *Victim) Map(ctx context.Context, f *File, flags MapFlags) *Mapping {
	return v.mapping(ctx, f.Name, f.Path, f.Bytes, 0, data, flags)
}

// MapPart maps length bytes of a file from offset on; the mapping may extend beyond the
// end of the file.
func (v *Victim) MapPart(ctx context.Context, f *File, offset, length int64, flags MapFlags) *Mapping {
	return v.mapping(ctx, f.Name, f.Path, length, offset, data, flags)
}

// MapCode maps a whole file, readable and executable, and private, as the dynamic linker
// does.
func (v *Victim) MapCode(ctx context.Context, f *File) *Mapping {
	return v.mapping(ctx, f.Name, f.Path, f.Bytes, 0, code, Private)
}

// Protections of mmap(2).
const (
	data = unix.PROT_READ | unix.PROT_WRITE
	code = unix.PROT_READ | unix.PROT_EXEC
)

// MapAnonymous maps anonymous private memory, readable and writable.
func (v *Victim) MapAnonymous(ctx context.Context, bytes int64, flags MapFlags) *Mapping {
	return v.mapping(ctx, "anon", "", bytes, 0, data, flags|Anonymous|Private)
}

func (v *Victim) mapping(
	ctx context.Context,
	name, path string,
	bytes, offset int64,
	prot int,
	flags MapFlags,
) *Mapping {
	for _, other := range v.maps {
		if other.Name == name {
			name = fmt.Sprintf("%s#%d", name, len(v.maps)+1)
			break
		}
	}
	r := v.g.call(ctx, &wire.Request{To: v.id, Map: &wire.Map{
		Path: path, Length: bytes, Offset: offset, Prot: prot, Flags: int(flags),
	}}).Mapped
	action := fmt.Sprintf("map %s, %d bytes from %d, %s", name, bytes, offset, flags)
	if prot == code {
		action += ", executable"
	}
	if r.Errno != "" {
		record(v.g.rec, v.Role, action, observe.Outcome{Errno: r.Errno}, "")
		v.g.fail(fmt.Errorf("%s: %s", action, r.Errno))
	}
	m := &Mapping{v: v, Name: name, Addr: r.Addr, Bytes: bytes, from: offset, fd: r.FD}
	v.maps = append(v.maps, m)
	v.g.watchMapping(ctx, m)
	record(v.g.rec, v.Role, action, observe.Outcome{}, "")
	return m
}

// MoveTo moves n bytes at an address to the start of another mapping, which they replace
// (mremap(2), MREMAP_FIXED). It records the errno, not the address.
func (v *Victim) MoveTo(ctx context.Context, a Addr, n int64, to *Mapping) *Observation {
	wired, words := wireArgs([]any{a, n, n, unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED, to.At(0)})
	called := v.g.call(ctx, &wire.Request{To: v.id, Syscall: &wire.Syscall{Name: "mremap", Args: wired}}).Called
	o := observe.Outcome{Errno: called.Errno, Signals: v.signals(called.Signals)}
	return record(v.g.rec, v.Role, fmt.Sprintf("mremap(%s)", words), o, "")
}
