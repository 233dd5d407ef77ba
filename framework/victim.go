package framework

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/guest/wire"
)

// Victim is a process in the guest that maps memory, touches it, and may die.
type Victim struct {
	g    *GuestVM
	id   int
	Role string
	PID  int
	maps []*Mapping
	dead bool
}

// Victim starts the scenario's main victim.
func (g *GuestVM) Victim(ctx context.Context) *Victim { return g.VictimAs(ctx, "victim", wire.Handle) }

// Second starts another process, to look from outside at what the victim did.
func (g *GuestVM) Second(ctx context.Context) *Victim { return g.VictimAs(ctx, "second", wire.Handle) }

// VictimAs starts a victim with a role, by which reports call it, and with what
// it does about SIGBUS.
func (g *GuestVM) VictimAs(ctx context.Context, role string, sigbus wire.Disposition) *Victim {
	if g.victims[role] != nil {
		g.fail(fmt.Errorf("two victims with the role %q", role))
	}
	s := g.call(ctx, &wire.Request{Spawn: &wire.Spawn{SIGBUS: sigbus}}).Spawned
	v := &Victim{g: g, id: s.Victim, Role: role, PID: s.PID}
	g.victims[role] = v
	return v
}

// Fork forks the victim; the child has a copy of its mappings and can load and
// store only.
func (v *Victim) Fork(ctx context.Context, role string) *Victim {
	if v.g.victims[role] != nil {
		v.g.fail(fmt.Errorf("two victims with the role %q", role))
	}
	s := v.g.call(ctx, &wire.Request{To: v.id, Fork: &wire.Fork{}}).Spawned
	child := &Victim{g: v.g, id: s.Victim, Role: role, PID: s.PID, maps: v.maps}
	v.g.victims[role] = child
	v.g.rec.add(v.Role, "fork "+role, observe.Outcome{}, "")
	return child
}

// Mapping is memory that a victim mapped.
type Mapping struct {
	v     *Victim
	Name  string // canonical: the file's name, "anon", …
	Addr  uint64
	Bytes int64
	fd    int
}

// Addr is a place in a mapping.
type Addr struct {
	m      *Mapping
	offset int64
}

// At is the place offset bytes into the mapping.
func (m *Mapping) At(offset int64) Addr { return Addr{m, offset} }

// FD is the mapped file's descriptor in the victim, for system calls.
func (m *Mapping) FD() FD { return FD{m.fd, m.Name} }

// FD is a file descriptor of a victim, with the name of what it is open on.
type FD struct {
	n    int
	name string
}

// String is the canonical form, "file+0x4000".
func (a Addr) String() string { return fmt.Sprintf("%s+%#x", a.m.Name, a.offset) }

func (a Addr) guest() uint64 { return a.m.Addr + uint64(a.offset) }

// MapFlags are mmap(2)'s flags.
type MapFlags int

const (
	Shared    MapFlags = unix.MAP_SHARED
	Private   MapFlags = unix.MAP_PRIVATE
	Sync      MapFlags = unix.MAP_SHARED_VALIDATE | unix.MAP_SYNC
	Populate  MapFlags = unix.MAP_POPULATE
	Anonymous MapFlags = unix.MAP_ANONYMOUS
	Hugetlb   MapFlags = unix.MAP_HUGETLB
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
	for _, w := range []struct {
		flag MapFlags
		name string
	}{{Populate, "populate"}, {Anonymous, "anonymous"}, {Hugetlb, "hugetlb"}} {
		if f&w.flag != 0 {
			words = append(words, w.name)
		}
	}
	return strings.Join(words, " ")
}

// Map maps a whole file, readable and writable. A refusal ends the scenario.
func (v *Victim) Map(ctx context.Context, f *File, flags MapFlags) *Mapping {
	return v.mapping(ctx, f.Name, f.Path, f.Bytes, 0, flags)
}

// MapPart maps length bytes of a file from offset on; length may go beyond the file.
func (v *Victim) MapPart(ctx context.Context, f *File, offset, length int64, flags MapFlags) *Mapping {
	return v.mapping(ctx, f.Name, f.Path, length, offset, flags)
}

// MapAnonymous maps anonymous private memory.
func (v *Victim) MapAnonymous(ctx context.Context, bytes int64, flags MapFlags) *Mapping {
	return v.mapping(ctx, "anon", "", bytes, 0, flags|Anonymous|Private)
}

func (v *Victim) mapping(ctx context.Context, name, path string, bytes, offset int64, flags MapFlags) *Mapping {
	for _, other := range v.maps {
		if other.Name == name {
			name = fmt.Sprintf("%s#%d", name, len(v.maps)+1)
			break
		}
	}
	r := v.g.call(ctx, &wire.Request{To: v.id, Map: &wire.Map{
		Path: path, Length: bytes, Offset: offset, Prot: unix.PROT_READ | unix.PROT_WRITE, Flags: int(flags),
	}}).Mapped
	action := fmt.Sprintf("map %s, %d bytes from %d, %s", name, bytes, offset, flags)
	if r.Errno != "" {
		v.g.rec.add(v.Role, action, observe.Outcome{Errno: r.Errno}, "")
		v.g.fail(fmt.Errorf("%s: %s", action, r.Errno))
	}
	m := &Mapping{v: v, Name: name, Addr: r.Addr, Bytes: bytes, fd: r.FD}
	v.maps = append(v.maps, m)
	v.g.rec.add(v.Role, action, observe.Outcome{}, "")
	return m
}

// Load loads a byte.
func (v *Victim) Load(ctx context.Context, a Addr) *Seen { return v.access(ctx, wire.Load, a, 1, 0) }

// Store stores a byte, 0x5a.
func (v *Victim) Store(ctx context.Context, a Addr) *Seen {
	return v.access(ctx, wire.Store, a, 1, 0x5a)
}

// Jump jumps to a place that holds a return instruction.
func (v *Victim) Jump(ctx context.Context, a Addr) *Seen { return v.access(ctx, wire.Exec, a, 1, 0) }

func (v *Victim) access(ctx context.Context, kind wire.Kind, a Addr, width int, value uint64) *Seen {
	return v.start(kind, a, width, value).Wait(ctx)
}

// Started is an access or a system call under way.
type Started struct {
	v       *Victim
	action  string
	at      string // the canonical address, of an access
	outcome func(*wire.Reply) observe.Outcome
	pending pending

	once  sync.Once
	reply *wire.Reply
	err   error
}

type pending interface {
	Wait(context.Context) (*wire.Reply, error)
}

// StartLoad starts a load that something else happens during; Wait records it.
func (v *Victim) StartLoad(a Addr) *Started { return v.start(wire.Load, a, 1, 0) }

// StartStore is StartLoad for a store.
func (v *Victim) StartStore(a Addr) *Started { return v.start(wire.Store, a, 1, 0x5a) }

func (v *Victim) start(kind wire.Kind, a Addr, width int, value uint64) *Started {
	return v.send(&wire.Access{Kind: kind, Addr: a.guest(), Width: width, Value: value}, fmt.Sprintf("%s %s", kind, a), a)
}

// send has the victim carry out an access, which reports call action.
func (v *Victim) send(access *wire.Access, action string, a Addr) *Started {
	kind := access.Kind
	return &Started{
		v: v, at: a.String(), action: action,
		pending: v.g.vm.Send(&wire.Request{To: v.id, Access: access}),
		outcome: func(r *wire.Reply) observe.Outcome {
			o := observe.Outcome{Signals: v.signals(r.Accessed.Signals)}
			if kind == wire.Load && r.Accessed.Done {
				o.Data = fmt.Sprintf("%02x", r.Accessed.Value)
			}
			return o
		},
	}
}

// await waits for the end; it may be called again, also from another goroutine.
func (s *Started) await(ctx context.Context) (*wire.Reply, error) {
	s.once.Do(func() { s.reply, s.err = s.pending.Wait(ctx) })
	return s.reply, s.err
}

// Wait waits for the end, and records it.
func (s *Started) Wait(ctx context.Context) *Seen {
	v := s.v
	reply, err := s.await(ctx)
	if err != nil {
		return v.g.rec.add(v.Role, s.action, v.g.panicked(err), s.at)
	}
	var o observe.Outcome
	if reply.Died != nil {
		o.Exit = v.died(reply.Died)
	} else {
		o = s.outcome(reply)
	}
	return v.g.rec.add(v.Role, s.action, o, s.at)
}

// died notes the victim's end.
func (v *Victim) died(s *wire.Status) *observe.Exit {
	v.dead = true
	e := &observe.Exit{Code: s.Code, Core: s.Core}
	if s.Signal != 0 {
		e.Signal = siginfo.SignalName(int32(s.Signal))
	}
	return e
}

// signals decodes payloads; si_addr becomes canonical.
func (v *Victim) signals(raw [][]byte) []observe.Signal {
	var out []observe.Signal
	for _, r := range raw {
		in, err := siginfo.Decode(r)
		if err != nil {
			v.g.fail(fmt.Errorf("payload from %s: %w", v.Role, err))
		}
		out = append(out, observe.NewSignal(in, v.canonical(in.Addr)))
	}
	return out
}

func (v *Victim) canonical(addr uint64) string {
	for _, m := range v.maps {
		if addr >= m.Addr && addr < m.Addr+uint64(m.Bytes) {
			return m.At(int64(addr - m.Addr)).String()
		}
	}
	return fmt.Sprintf("%#x", addr)
}

// Out is an argument of Syscall: memory of so many bytes that the call fills.
type Out int

// Syscall makes a system call in the victim. Arguments are numbers, strings
// (paths), []byte (memory to read from), Out (memory to fill), Addr, FD.
func (v *Victim) Syscall(ctx context.Context, name string, args ...any) *Seen {
	return v.StartSyscall(name, args...).Wait(ctx)
}

// StartSyscall starts a system call that something else happens during.
func (v *Victim) StartSyscall(name string, args ...any) *Started {
	wired, words := wireArgs(args)
	return &Started{
		v: v, action: fmt.Sprintf("%s(%s)", name, words),
		pending: v.g.vm.Send(&wire.Request{To: v.id, Syscall: &wire.Syscall{Name: name, Args: wired}}),
		outcome: func(r *wire.Reply) observe.Outcome { return v.called(r.Called) },
	}
}

// called is what a system call told.
func (v *Victim) called(c *wire.Called) observe.Outcome {
	o := observe.Outcome{Errno: c.Errno, Signals: v.signals(c.Signals)}
	if c.Errno == "" {
		o.Ret = &c.Ret
	}
	if len(c.Out) > 0 && c.Errno == "" && c.Ret > 0 {
		read := dataOf(c.Out[0][:min(int64(len(c.Out[0])), c.Ret)])
		o.Data, o.Digest = read.Data, read.Digest
	}
	return o
}

// Open opens a file in the victim.
func (v *Victim) Open(ctx context.Context, path, name string, flags int) FD {
	seen := v.Syscall(ctx, "openat", -100, path, flags|unix.O_CLOEXEC, 0)
	if seen.Errno != "" {
		v.g.fail(fmt.Errorf("open %s: %s", path, seen.Errno))
	}
	return FD{int(*seen.Ret), name}
}

// OpenFile opens a file for reading and writing, without mapping it.
func (v *Victim) OpenFile(ctx context.Context, f *File) FD {
	return v.Open(ctx, f.Path, f.Name, unix.O_RDWR)
}

// Pread reads n bytes at an offset (pread(2)).
func (v *Victim) Pread(ctx context.Context, fd FD, n int, offset int64) *Seen {
	return v.Syscall(ctx, "pread64", fd, Out(n), n, offset)
}

// Pwrite writes n bytes of 0x5a at an offset (pwrite(2)).
func (v *Victim) Pwrite(ctx context.Context, fd FD, n int, offset int64) *Seen {
	return v.Syscall(ctx, "pwrite64", fd, []byte(strings.Repeat("\x5a", n)), n, offset)
}

// Madvise advice values that package unix does not name.
const (
	MADV_HWPOISON       = 100
	MADV_SOFT_OFFLINE   = 101
	MADV_POPULATE_READ  = 22
	MADV_POPULATE_WRITE = 23
)

// Madvise gives advice on n bytes (madvise(2)).
func (v *Victim) Madvise(ctx context.Context, a Addr, n int64, advice int) *Seen {
	if advice == MADV_HWPOISON {
		v.g.injected, v.g.poisoned = true, true
	}
	return v.Syscall(ctx, "madvise", a, n, advice)
}

// Present says whether the page at a place is in the victim's page table, and
// records it. A page that was never touched is there where a huge page around
// it was mapped: smaps' FilePmdMapped does not count DAX pages before v6.15.
// (/proc/PID/pagemap, bit 63; Documentation/admin-guide/mm/pagemap.rst)
func (v *Victim) Present(ctx context.Context, a Addr) *Seen {
	note := pagemapWord(v.pagemap(ctx, a))
	return v.g.rec.add("agent", fmt.Sprintf("pagemap of %s in %s", a, v.Role), observe.Outcome{Note: note}, "")
}

// pagemapWord says what a page map's entry is: poison that was taken out of a
// page table left a swap entry of its own kind there (bit 62), which memory of
// a file needs not have.
func pagemapWord(entry uint64) string {
	switch {
	case entry>>63 != 0:
		return "present"
	case entry>>62&1 != 0:
		return "swap entry"
	}
	return "absent"
}

// pagemap is the page map's entry for a place.
func (v *Victim) pagemap(ctx context.Context, a Addr) uint64 {
	f := v.g.call(ctx, &wire.Request{ReadFile: &wire.ReadFile{
		Path: fmt.Sprintf("/proc/%d/pagemap", v.PID), Offset: int64(a.guest() / PageBytes * 8), Length: 8,
	}}).File
	if f.Errno != "" || len(f.Data) != 8 {
		v.g.fail(fmt.Errorf("read the page map of %s: %d bytes %s", v.Role, len(f.Data), f.Errno))
	}
	return binary.LittleEndian.Uint64(f.Data)
}

// wireArgs are a system call's arguments for the wire, and in canonical words.
func wireArgs(args []any) ([]wire.Arg, string) {
	var wired []wire.Arg
	var words []string
	for _, a := range args {
		var w wire.Arg
		word := ""
		switch a := a.(type) {
		case int:
			w.Int, word = int64(a), strconv.Itoa(a)
		case int64:
			w.Int, word = a, strconv.FormatInt(a, 10)
		case string:
			w.Str, word = a, strconv.Quote(a)
		case []byte:
			w.In, word = a, fmt.Sprintf("%d bytes", len(a))
		case Out:
			w.Out, word = int(a), "buffer"
		case Addr:
			w.Int, word = int64(a.guest()), a.String()
		case FD:
			w.Int, word = int64(a.n), a.name
		default:
			panic(fmt.Sprintf("system call argument of type %T", a))
		}
		wired, words = append(wired, w), append(words, word)
	}
	return wired, strings.Join(words, ", ")
}
