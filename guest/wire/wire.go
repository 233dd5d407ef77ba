// Package wire is what the host and the agent in a guest say to each other: a
// line each way on a serial port of the guest. The messages are
// primitives (map, load, system call, read a file); the guest knows no
// scenarios. It is shared by both sides and imports nothing of Faultline's.
package wire

// Agent is the address of the agent itself; every other value is a victim's
// number, as Spawned gave it.
const Agent = 0

// Request asks the agent, or through it a victim, for one operation. Exactly
// one of the pointers is set.
type Request struct {
	ID uint64 `json:"id"`
	To int    `json:"to,omitempty"` // Agent or a victim

	// Operations of the agent.
	Hello     *Hello     `json:"hello,omitempty"`
	Spawn     *Spawn     `json:"spawn,omitempty"`
	Wait      *Wait      `json:"wait,omitempty"`
	ReadFile  *ReadFile  `json:"read_file,omitempty"`
	WriteFile *WriteFile `json:"write_file,omitempty"`
	MakeFile  *MakeFile  `json:"make_file,omitempty"`
	Pmem      *Pmem      `json:"pmem,omitempty"`
	DM        *DM        `json:"dm,omitempty"`
	KernelLog *KernelLog `json:"kernel_log,omitempty"`

	// Operations of a victim.
	Map    *Map    `json:"map,omitempty"`
	Access *Access `json:"access,omitempty"`
	Fork   *Fork   `json:"fork,omitempty"`

	// Operations of both.
	Syscall *Syscall `json:"syscall,omitempty"`
}

// Reply answers the Request of the same ID. Replies of different victims may
// overtake each other; those of one come in order.
type Reply struct {
	ID uint64 `json:"id"`
	// Error says that the operation itself could not be carried out: trouble
	// with the rig, never a behaviour. An errno that a scenario is after comes
	// in the operation's own result.
	Error string `json:"error,omitempty"`
	// Died is set when the victim ended while it was busy with the request.
	Died *Status `json:"died,omitempty"`

	Welcome  *HelloReply   `json:"welcome,omitempty"`
	Spawned  *Spawned      `json:"spawned,omitempty"`
	Status   *Status       `json:"status,omitempty"`
	File     *File         `json:"file,omitempty"`
	Made     *MakeReply    `json:"made,omitempty"`
	Devices  []Device      `json:"devices,omitempty"`
	Log      *Log          `json:"log,omitempty"`
	Mapped   *MapReply     `json:"mapped,omitempty"`
	Accessed *Accessed     `json:"accessed,omitempty"`
	Called   *SyscallReply `json:"called,omitempty"`
	Mapper   *Mapper       `json:"mapper,omitempty"`
}

// Hello opens a conversation: the first request after boot, or after a clone
// was started. It sets what must not be a copy of the template's.
type Hello struct {
	UnixNano int64  `json:"unix_nano"`       // the host's clock; 0 leaves the guest's alone
	Entropy  []byte `json:"entropy"`         // fresh random bytes for the kernel's pool
	Spare    int    `json:"spare,omitempty"` // victims to start ahead, before a freeze
	// Hold are files to keep open from now on: ReadFile and WriteFile of them look
	// for nothing.
	Hold []string `json:"hold,omitempty"`
}

// HelloReply answers Hello.
type HelloReply struct {
	Release string  `json:"release"`  // uname -r
	Machine string  `json:"machine"`  // uname -m
	Uptime  float64 `json:"uptime"`   // seconds since the kernel started
	KmsgSeq uint64  `json:"kmsg_seq"` // the kernel log's end, for KernelLog.Since
	Taint   uint64  `json:"taint"`    // /proc/sys/kernel/tainted; 0 where the kernel has no such file
}

// Disposition is what a victim does about SIGBUS.
type Disposition string

const (
	Handle  Disposition = "handle"  // a raw handler copies the payload and resumes behind the access
	Once    Disposition = "once"    // Handle, for one signal (SA_RESETHAND), and then Default
	Default Disposition = "default" // SIG_DFL: the signal ends the process
	Ignore  Disposition = "ignore"  // SIG_IGN
	Block   Disposition = "block"   // handled, but blocked in the signal mask
)

// Spawn starts a victim.
type Spawn struct {
	SIGBUS Disposition `json:"sigbus,omitempty"` // empty: Handle
}

// Spawned answers Spawn and Fork.
type Spawned struct {
	Victim int `json:"victim"`
	PID    int `json:"pid"` // of a thread its own number (gettid(2))
}

// Wait waits until a victim has ended. With Kill it is sent SIGKILL first.
type Wait struct {
	Victim int  `json:"victim"`
	Kill   bool `json:"kill,omitempty"`
	// Limit is how many milliseconds to wait at most; 0 is for ever. A victim
	// that still runs then is an Error.
	Limit int `json:"limit,omitempty"`
}

// Status is how a process ended (wait(2)).
type Status struct {
	Code   int  `json:"code"`             // exit status, -1 when a signal ended it
	Signal int  `json:"signal,omitempty"` // the signal that did
	Core   bool `json:"core,omitempty"`   // a core was dumped
	// Output is what it wrote to stderr, a Go runtime's last words for example.
	Output string `json:"output,omitempty"`
}

// ReadFile reads a file of the guest: sysfs, procfs, anything.
type ReadFile struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset,omitempty"`
	Length int    `json:"length,omitempty"` // bytes; 0 means to the end, at most MaxData
}

// MaxData bounds the bytes of one message.
const MaxData = 1 << 20

// File answers ReadFile and WriteFile.
type File struct {
	Data  []byte `json:"data,omitempty"`
	N     int    `json:"n"`               // bytes read or written
	Errno string `json:"errno,omitempty"` // name of the error of open, read or write
}

// WriteFile writes a file of the guest with a single write(2).
type WriteFile struct {
	Path   string `json:"path"`
	Data   []byte `json:"data"`
	Create bool   `json:"create,omitempty"` // make or truncate it, mode 0644
}

// Layout is what lies behind a file's pages.
type Layout string

const (
	Written   Layout = "written"   // every block allocated and written: page n is full of byte Fill(n)
	Unwritten Layout = "unwritten" // allocated with fallocate(2), never written
	Hole      Layout = "hole"      // the size is set, no block allocated
)

// Fill is the byte that page n of a Written file is full of; never 0, so that
// a page of zeros can't be taken for it.
func Fill(page int64) byte { return byte(0x11 + page%0xe0) }

// MakeFile makes a file, syncs it, and looks where its blocks are.
type MakeFile struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"` // bytes, a multiple of the page size
	Layout Layout `json:"layout"`
	// Align asks for a first block at a physical offset (plus Base) that is a
	// multiple of it, in bytes: 2 MiB for a file that huge pages can map.
	Align int64 `json:"align,omitempty"`
	// Base is added to a physical offset before it is held against Align.
	Base int64 `json:"base,omitempty"`
}

// MakeReply answers MakeFile.
type MakeReply struct {
	Extents []Extent `json:"extents"`
}

// Extent is a run of a file's blocks (FIEMAP, Documentation/filesystems/fiemap.rst).
type Extent struct {
	Logical  int64  `json:"logical"`  // bytes into the file
	Physical int64  `json:"physical"` // bytes into the block device
	Length   int64  `json:"length"`   // bytes
	Flags    uint32 `json:"flags,omitempty"`
}

// Pmem lists the guest's persistent memory block devices.
type Pmem struct{}

// Device is one of them.
type Device struct {
	Name     string `json:"name"`               // "pmem0"
	Provider string `json:"provider"`           // "nfit", "e820" or "virtio"
	Resource uint64 `json:"resource,omitempty"` // guest physical address of the namespace's first byte
	// DataOffset is how far behind Resource the block device's first byte lies:
	// the room that an nd_pfn info block and its struct pages take.
	DataOffset int64 `json:"data_offset,omitempty"`
	Bytes      int64 `json:"bytes"` // size of the block device
	Fsdax      bool  `json:"fsdax"` // has an nd_pfn info block
}

// DM makes, reloads or removes a device-mapper device (dm_ioctl.h).
type DM struct {
	Name string `json:"name"`
	// Table is the new table; none removes the device.
	Table []Target `json:"table,omitempty"`
}

// Mapper answers DM.
type Mapper struct {
	Node string `json:"node,omitempty"` // "/dev/dm-0"; empty when the device was removed
	// Errno is what a target refused its table with (DM_TABLE_LOAD). A device
	// that DM had just made for the table is gone again then.
	Errno string `json:"errno,omitempty"`
}

// Target is a line of a device-mapper table.
type Target struct {
	Start  uint64 `json:"start"` // 512-byte sectors
	Length uint64 `json:"length"`
	Type   string `json:"type"` // "linear", "error"
	Params string `json:"params,omitempty"`
}

// KernelLog reads the kernel log after a mark.
type KernelLog struct {
	Since uint64 `json:"since"` // sequence number (Documentation/ABI/testing/dev-kmsg)
}

// Log answers KernelLog.
type Log struct {
	// Lines are "[   12.345678] text", and "<12>[   12.345678] text" where a program wrote it.
	Lines []string `json:"lines,omitempty"`
	Next  uint64   `json:"next"` // the sequence number for the next KernelLog
}

// Map maps a file or anonymous memory (mmap(2)).
type Map struct {
	Path   string `json:"path,omitempty"` // empty: anonymous
	Length int64  `json:"length"`
	Offset int64  `json:"offset,omitempty"`
	Prot   int    `json:"prot"`
	Flags  int    `json:"flags"`
}

// MapReply answers Map. Addresses are chosen by the victim, one after the other
// and aligned to 1 GiB, so that they are the same in every run.
type MapReply struct {
	Addr  uint64 `json:"addr"`
	FD    int    `json:"fd"` // the file's descriptor in the victim, -1 for anonymous memory
	Errno string `json:"errno,omitempty"`
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
	Kind  Kind   `json:"kind"`
	Addr  uint64 `json:"addr"`
	Width int    `json:"width"` // bytes: 1, 2, 4 or 8
	Value uint64 `json:"value,omitempty"`
	// Spin repeats the access until a signal comes. Who asks bounds it.
	Spin bool `json:"spin,omitempty"`
}

// Accessed answers Access. Signals are those since the victim's last answer,
// so one that came while the victim was idle is in the next.
type Accessed struct {
	Value   uint64   `json:"value"`
	Signals [][]byte `json:"signals,omitempty"` // raw siginfo_t, 128 bytes each, in order
	Lost    int      `json:"lost,omitempty"`    // signals behind these for which there was no room
	// Done says whether the instruction was carried out.
	Done bool `json:"done"`
}

// Fork forks the victim; the child is a victim too, with a copy of its memory,
// that can only Access, and be waited for.
type Fork struct {
	Victim int `json:"victim,omitempty"` // the agent fills in the child's number
	// Thread starts a thread instead, of which a victim has one: it shares the memory,
	// takes signals of its own, can make a Syscall too, and ends with the victim.
	Thread bool `json:"thread,omitempty"`
}

// Syscall makes a system call by name, in the process it is sent to.
type Syscall struct {
	Name string `json:"name"` // "pread64"; guest/victim lists the known ones
	Args []Arg  `json:"args"`
}

// Arg is an argument of a system call: a number, or memory that lives for the
// call and begins on a page of its own where it is 512 bytes or more. In and
// Out together are memory of Out bytes that begins with In.
type Arg struct {
	Int int64  `json:"i,omitempty"`
	Str string `json:"s,omitempty"` // pointer to this string, NUL-terminated
	In  []byte `json:"b,omitempty"` // pointer to these bytes
	Out int    `json:"o,omitempty"` // pointer to so many bytes, which come back in Called.Out
	// Iov makes a struct iovec array (a pointer to it) of address and length pairs.
	Iov []uint64 `json:"v,omitempty"`
}

// SyscallReply answers Syscall.
type SyscallReply struct {
	Ret     int64    `json:"ret"`             // as in user space: -1 on error
	Errno   string   `json:"errno,omitempty"` // "EIO"
	Out     [][]byte `json:"out,omitempty"`   // one for each Out argument, in order
	Signals [][]byte `json:"signals,omitempty"`
	Lost    int      `json:"lost,omitempty"` // as in Accessed
}

// Port is the name of the virtio serial port that the host and the guest speak
// on. FindPort in the guest turns it into a device.
const Port = "faultline.agent"

// Ready is the line with which the agent opens its port after boot.
const Ready = "agent ready"
