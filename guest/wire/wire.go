// Package wire defines the protocol between the host and the agent in a guest: one
// line each way on a serial port of the guest. The messages are primitives (map,
// load, system call, read a file); the guest knows nothing of scenarios. Both sides
// share the package, and it imports no other package of Faultline.
package wire

// Agent is the address of the agent itself; every other value is the number of a
// victim, as returned in Spawned.
const Agent = 0

// Request requests one operation of the agent, or through it of a victim. Exactly
// one of the pointers is set.
type Request struct {
	ID uint64
	To int // Agent or a victim

	// Operations of the agent.
	Hello     *Hello
	Spawn     *Spawn
	Wait      *Wait
	ReadFile  *ReadFile
	WriteFile *WriteFile
	MakeFile  *MakeFile
	Pmem      *Pmem
	DM        *DM
	KernelLog *KernelLog

	// Operations of a victim.
	Map    *Map
	Access *Access
	Fork   *Fork

	// Operations of both.
	Syscall *Syscall
}

// Reply answers the Request of the same ID. Replies of different victims may arrive in
// any order; those of one victim arrive in order.
type Reply struct {
	ID uint64
	// Error means that the operation itself could not be carried out: an
	// infrastructure failure, never a behaviour of the kernel. An errno that a
	// scenario is about is part of the operation's own result.
	Error string
	// Died is set if the victim ended while it processed the request.
	Died *Status

	Welcome  *HelloReply
	Spawned  *Spawned
	Status   *Status
	File     *File
	Made     *MakeReply
	Devices  []Device
	Log      *Log
	Mapped   *MapReply
	Accessed *Accessed
	Called   *SyscallReply
	Mapper   *Mapper
}

// Hello is the first request after boot, or after a clone was started. It sets what a
// clone must not inherit from its template.
type Hello struct {
	UnixNano int64  // the host's clock; 0 leaves the guest's unchanged
	Entropy  []byte // fresh random bytes for the kernel's pool
	Spare    int    // victims to start in advance, before a freeze
	// Hold lists files to keep open from now on: ReadFile and WriteFile then need no
	// path lookup.
	Hold []string
}

// HelloReply answers Hello.
type HelloReply struct {
	Release string  // uname -r
	Machine string  // uname -m
	Uptime  float64 // seconds since the kernel started
	KmsgSeq uint64  // the kernel log's end, for KernelLog.Since
	Taint   uint64  // /proc/sys/kernel/tainted; 0 if the kernel has no such file
}

// Disposition is a victim's disposition for SIGBUS.
type Disposition string

const (
	Handle  Disposition = "handle"  // a raw handler copies the payload and resumes after the access
	Once    Disposition = "once"    // Handle for one signal (SA_RESETHAND), then Default
	Default Disposition = "default" // SIG_DFL: the signal ends the process
	Ignore  Disposition = "ignore"  // SIG_IGN
	Block   Disposition = "block"   // handled, but blocked in the signal mask
)

// Spawn starts a victim.
type Spawn struct {
	SIGBUS Disposition // empty: Handle
	// Program is the path of the program to start instead of the agent's own victim: one
	// that was built for another architecture.
	Program string
}

// Spawned answers Spawn and Fork.
type Spawned struct {
	Victim int
	PID    int // for a thread, its thread id (gettid(2))
}

// Wait waits for the end of a victim. With Kill, the victim is first sent SIGKILL.
type Wait struct {
	Victim int
	Kill   bool
	// Limit is the maximum time to wait in milliseconds; 0 means forever. If the
	// victim still runs after it, the reply is an Error.
	Limit int
}

// Status is how a process ended (wait(2)).
type Status struct {
	Code   int  // exit status, -1 when a signal ended it
	Signal int  // the signal that did
	Core   bool // a core was dumped
	// Output is the end of its stderr, for example a Go runtime's panic.
	Output string
}

// ReadFile reads a file of the guest: sysfs, procfs, anything.
type ReadFile struct {
	Path   string
	Offset int64
	Length int // bytes; 0 means to the end, at most MaxData
}

// MaxData bounds the bytes of one message.
const MaxData = 1 << 20

// File answers ReadFile and WriteFile.
type File struct {
	Data  []byte
	N     int    // bytes read or written
	Errno string // name of the error of open, read or write
}

// WriteFile writes a file of the guest with a single write(2).
type WriteFile struct {
	Path   string
	Data   []byte
	Create bool // make or truncate it, mode 0644
}

// Layout is the allocation state of a file's pages.
type Layout string

const (
	Written   Layout = "written"   // every block allocated and written: page n is full of byte Fill(n)
	Unwritten Layout = "unwritten" // allocated with fallocate(2), never written
	Hole      Layout = "hole"      // the size is set, no block allocated
)

// Fill returns the byte that fills page n of a Written file. It is never 0, so that
// the page differs from a page of zeros.
func Fill(page int64) byte { return byte(0x11 + page%0xe0) }

// MakeFile makes a file, syncs it, and returns the location of its blocks.
type MakeFile struct {
	Path   string
	Size   int64 // bytes, a multiple of the page size
	Layout Layout
	// Align requests a first block at a physical offset (plus Base) that is a
	// multiple of Align, in bytes: 2 MiB for a file that huge pages can map.
	Align int64
	// Base is added to a physical offset before its alignment is checked.
	Base int64
}

// MakeReply answers MakeFile.
type MakeReply struct {
	Extents []Extent
}

// Extent is a run of a file's blocks (FIEMAP, Documentation/filesystems/fiemap.rst).
type Extent struct {
	Logical  int64 // bytes into the file
	Physical int64 // bytes into the block device
	Length   int64 // bytes
	Flags    uint32
}

// Pmem lists the guest's persistent memory block devices.
type Pmem struct{}

// Device is a persistent memory block device.
type Device struct {
	Name     string // "pmem0"
	Provider string // "nfit", "e820" or "virtio"
	Resource uint64 // guest physical address of the namespace's first byte
	// DataOffset is the offset of the block device's first byte from Resource: the
	// size of an nd_pfn info block and its struct pages.
	DataOffset int64
	Bytes      int64 // size of the block device
	Fsdax      bool  // has an nd_pfn info block
}

// DM makes, reloads or removes a device-mapper device (dm_ioctl.h).
type DM struct {
	Name string
	// Table is the new table; an empty one removes the device.
	Table []Target
}

// Mapper answers DM.
type Mapper struct {
	Node string // "/dev/dm-0"; empty when the device was removed
	// Errno is the error of a target that refused its table (DM_TABLE_LOAD). A device
	// that DM had just created for the table has then been removed.
	Errno string
}

// Target is a line of a device-mapper table.
type Target struct {
	Start  uint64 // 512-byte sectors
	Length uint64
	Type   string // "linear", "error"
	Params string
}

// KernelLog reads the kernel log from a sequence number on.
type KernelLog struct {
	Since uint64 // sequence number (Documentation/ABI/testing/dev-kmsg)
}

// Log answers KernelLog.
type Log struct {
	// Lines are "[   12.345678] text", or "<12>[   12.345678] text" if written by user
	// space.
	Lines []string
	Next  uint64 // the sequence number for the next KernelLog
}

// Map maps a file or anonymous memory (mmap(2)).
type Map struct {
	Path   string // empty: anonymous
	Length int64
	Offset int64
	Prot   int
	Flags  int
}

// MapReply answers Map. The victim chooses addresses in ascending order, aligned to
// 1 GiB, so that they are the same in every run.
type MapReply struct {
	Addr  uint64
	FD    int // the file's descriptor in the victim, -1 for anonymous memory
	Errno string
}

// Kind of an Access.
type Kind string

const (
	Load  Kind = "load"
	Store Kind = "store"
	Exec  Kind = "exec" // jump there; the page must hold a return instruction
)

// Access touches memory with one instruction.
type Access struct {
	Kind  Kind
	Addr  uint64
	Width int // bytes: 1, 2, 4 or 8
	Value uint64
	// Spin repeats the access until a signal arrives. The requester sets the time limit.
	Spin bool
}

// Accessed answers Access. Signals are those since the victim's last answer, including
// any that arrived while the victim was idle.
type Accessed struct {
	Value   uint64
	Signals [][]byte // raw siginfo_t, 128 bytes each, in order
	Lost    int      // later signals that did not fit
	// Done reports whether the instruction was carried out.
	Done bool
}

// Fork forks the victim. The child is a victim too, with a copy of its memory, but it
// supports only Access and Wait.
type Fork struct {
	Victim int // the agent fills in the child's number
	// Thread starts a thread instead. A victim can have one: it shares the memory,
	// receives signals of its own, supports Syscall too, and ends with the victim.
	Thread bool
}

// Syscall makes a system call by name, in the process it is sent to.
type Syscall struct {
	Name string // "pread64"; guest/victim lists the known ones
	Args []Arg
}

// Arg is an argument of a system call: a number, or memory that is valid during the
// call, and page-aligned if it has 512 bytes or more. In and Out together mean memory of
// Out bytes that begins with In.
type Arg struct {
	Int int64
	Str string // pointer to this string, NUL-terminated
	In  []byte // pointer to these bytes
	Out int    // pointer to Out bytes, which are returned in Called.Out
	// Iov passes a pointer to a struct iovec array of these address and length pairs.
	Iov []uint64
}

// SyscallReply answers Syscall.
type SyscallReply struct {
	Ret     int64    // as in user space: -1 on error
	Errno   string   // "EIO"
	Out     [][]byte // one for each Out argument, in order
	Signals [][]byte
	Lost    int // as in Accessed
}

// Port is the name of the virtio serial port between host and guest. FindPort in the
// guest finds its device.
const Port = "faultline.agent"

// Ready is the line with which the agent opens its port after boot.
const Ready = "agent ready"
