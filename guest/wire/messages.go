package wire

// words encodes or decodes a request: its number, its addressee, and its operations
// by name.
func (q *Request) words(w *words) {
	num(w, &q.ID)
	num(w, &q.To)
	if !w.reading {
		put(w, "hello", q.Hello)
		put(w, "spawn", q.Spawn)
		put(w, "wait", q.Wait)
		put(w, "read_file", q.ReadFile)
		put(w, "write_file", q.WriteFile)
		put(w, "make_file", q.MakeFile)
		put(w, "pmem", q.Pmem)
		put(w, "dm", q.DM)
		put(w, "kernel_log", q.KernelLog)
		put(w, "map", q.Map)
		put(w, "access", q.Access)
		put(w, "fork", q.Fork)
		put(w, "syscall", q.Syscall)
	}
	for w.reading && w.err == nil && len(w.line) > 0 {
		switch name := string(w.next()); name {
		case "hello":
			get(w, name, &q.Hello)
		case "spawn":
			get(w, name, &q.Spawn)
		case "wait":
			get(w, name, &q.Wait)
		case "read_file":
			get(w, name, &q.ReadFile)
		case "write_file":
			get(w, name, &q.WriteFile)
		case "make_file":
			get(w, name, &q.MakeFile)
		case "pmem":
			get(w, name, &q.Pmem)
		case "dm":
			get(w, name, &q.DM)
		case "kernel_log":
			get(w, name, &q.KernelLog)
		case "map":
			get(w, name, &q.Map)
		case "access":
			get(w, name, &q.Access)
		case "fork":
			get(w, name, &q.Fork)
		case "syscall":
			get(w, name, &q.Syscall)
		default:
			w.unknown(name)
		}
	}
}

// words encodes or decodes a reply: the request's number, the error, and its parts
// by name.
func (r *Reply) words(w *words) {
	num(w, &r.ID)
	text(w, &r.Error)
	if !w.reading {
		put(w, "died", r.Died)
		put(w, "welcome", r.Welcome)
		put(w, "spawned", r.Spawned)
		put(w, "status", r.Status)
		put(w, "file", r.File)
		put(w, "made", r.Made)
		if len(r.Devices) > 0 {
			put(w, "devices", (*devices)(&r.Devices))
		}
		put(w, "log", r.Log)
		put(w, "mapped", r.Mapped)
		put(w, "accessed", r.Accessed)
		put(w, "called", r.Called)
		put(w, "mapper", r.Mapper)
	}
	for w.reading && w.err == nil && len(w.line) > 0 {
		switch name := string(w.next()); name {
		case "died":
			get(w, name, &r.Died)
		case "welcome":
			get(w, name, &r.Welcome)
		case "spawned":
			get(w, name, &r.Spawned)
		case "status":
			get(w, name, &r.Status)
		case "file":
			get(w, name, &r.File)
		case "made":
			get(w, name, &r.Made)
		case "devices":
			d := (*devices)(nil)
			if get(w, name, &d); r.Devices != nil || len(*d) == 0 {
				w.unknown(name)
			}
			r.Devices = *d
		case "log":
			get(w, name, &r.Log)
		case "mapped":
			get(w, name, &r.Mapped)
		case "accessed":
			get(w, name, &r.Accessed)
		case "called":
			get(w, name, &r.Called)
		case "mapper":
			get(w, name, &r.Mapper)
		default:
			w.unknown(name)
		}
	}
}

// devices is a part of a message that is a list.
type devices []Device

func (d *devices) words(w *words) { list(w, (*[]Device)(d), func(w *words, v *Device) { v.words(w) }) }

func (h *Hello) words(w *words) {
	num(w, &h.UnixNano)
	data(w, &h.Entropy)
	num(w, &h.Spare)
	list(w, &h.Hold, text[string])
}

func (m *HelloReply) words(w *words) {
	text(w, &m.Release)
	text(w, &m.Machine)
	float(w, &m.Uptime)
	num(w, &m.KmsgSeq)
	num(w, &m.Taint)
}

func (s *Spawn) words(w *words) {
	text(w, &s.SIGBUS)
	text(w, &s.Program)
}

func (s *Spawned) words(w *words) {
	num(w, &s.Victim)
	num(w, &s.PID)
}

func (m *Wait) words(w *words) {
	num(w, &m.Victim)
	flag(w, &m.Kill)
	num(w, &m.Limit)
}

func (s *Status) words(w *words) {
	num(w, &s.Code)
	num(w, &s.Signal)
	flag(w, &s.Core)
	text(w, &s.Output)
}

func (f *ReadFile) words(w *words) {
	text(w, &f.Path)
	num(w, &f.Offset)
	num(w, &f.Length)
}

func (f *File) words(w *words) {
	data(w, &f.Data)
	num(w, &f.N)
	text(w, &f.Errno)
}

func (f *WriteFile) words(w *words) {
	text(w, &f.Path)
	data(w, &f.Data)
	flag(w, &f.Create)
}

func (f *MakeFile) words(w *words) {
	text(w, &f.Path)
	num(w, &f.Size)
	text(w, &f.Layout)
	num(w, &f.Align)
	num(w, &f.Base)
}

func (m *MakeReply) words(w *words) {
	list(w, &m.Extents, func(w *words, e *Extent) {
		num(w, &e.Logical)
		num(w, &e.Physical)
		num(w, &e.Length)
		num(w, &e.Flags)
	})
}

func (*Pmem) words(*words) {}

func (d *Device) words(w *words) {
	text(w, &d.Name)
	text(w, &d.Provider)
	num(w, &d.Resource)
	num(w, &d.DataOffset)
	num(w, &d.Bytes)
	flag(w, &d.Fsdax)
}

func (d *DM) words(w *words) {
	text(w, &d.Name)
	list(w, &d.Table, func(w *words, t *Target) {
		num(w, &t.Start)
		num(w, &t.Length)
		text(w, &t.Type)
		text(w, &t.Params)
	})
}

func (m *Mapper) words(w *words) {
	text(w, &m.Node)
	text(w, &m.Errno)
}

func (k *KernelLog) words(w *words) { num(w, &k.Since) }

func (l *Log) words(w *words) {
	list(w, &l.Lines, text[string])
	num(w, &l.Next)
}

func (m *Map) words(w *words) {
	text(w, &m.Path)
	num(w, &m.Length)
	num(w, &m.Offset)
	num(w, &m.Prot)
	num(w, &m.Flags)
}

func (m *MapReply) words(w *words) {
	num(w, &m.Addr)
	num(w, &m.FD)
	text(w, &m.Errno)
}

func (a *Access) words(w *words) {
	text(w, &a.Kind)
	num(w, &a.Addr)
	num(w, &a.Width)
	num(w, &a.Value)
	flag(w, &a.Spin)
}

func (a *Accessed) words(w *words) {
	num(w, &a.Value)
	list(w, &a.Signals, data)
	num(w, &a.Lost)
	flag(w, &a.Done)
}

func (f *Fork) words(w *words) {
	num(w, &f.Victim)
	flag(w, &f.Thread)
}

func (s *Syscall) words(w *words) {
	text(w, &s.Name)
	list(w, &s.Args, func(w *words, a *Arg) {
		num(w, &a.Int)
		text(w, &a.Str)
		data(w, &a.In)
		num(w, &a.Out)
		list(w, &a.Iov, num[uint64])
	})
}

func (c *SyscallReply) words(w *words) {
	num(w, &c.Ret)
	text(w, &c.Errno)
	list(w, &c.Out, data)
	list(w, &c.Signals, data)
	num(w, &c.Lost)
}
