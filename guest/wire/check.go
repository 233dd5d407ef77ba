package wire

import (
	"errors"
	"fmt"
)

// ErrAnswer is wrapped by the error of a reply that does not match its request.
var ErrAnswer = errors.New("reply does not match the request")

// Check checks a reply against its request: a guest with a broken kernel may send
// anything. A reply that passes has an Error, or the answer to the operation and no
// other, or, from a victim, its death. Memory has exactly the requested size, and a
// file at most the requested length.
func (r *Reply) Check(q *Request) error {
	if r.Error != "" {
		return nil
	}
	op, err := q.Op()
	if err != nil {
		return err
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w: %s", op, ErrAnswer, fmt.Sprintf(format, args...))
	}
	// A list may be empty, and is then nil.
	answered := q.Pmem != nil
	for _, a := range [...]struct {
		name        string
		set, wanted bool
	}{
		{"died", r.Died != nil, q.To != Agent || q.Wait != nil},
		{"welcome", r.Welcome != nil, q.Hello != nil},
		{"spawned", r.Spawned != nil, q.Spawn != nil || q.Fork != nil},
		{"status", r.Status != nil, q.Wait != nil},
		{"file", r.File != nil, q.ReadFile != nil || q.WriteFile != nil},
		{"made", r.Made != nil, q.MakeFile != nil},
		{"devices", r.Devices != nil, q.Pmem != nil},
		{"log", r.Log != nil, q.KernelLog != nil},
		{"mapped", r.Mapped != nil, q.Map != nil},
		{"accessed", r.Accessed != nil, q.Access != nil},
		{"called", r.Called != nil, q.Syscall != nil},
		{"mapper", r.Mapper != nil, q.DM != nil},
	} {
		switch {
		case a.set && !a.wanted:
			return wrong("%s answers another operation", a.name)
		case a.set && a.name != "devices" && answered:
			return wrong("%s is a second answer", a.name)
		}
		answered = answered || a.set
	}
	switch {
	case !answered:
		return wrong("no answer")
	case q.ReadFile != nil && q.ReadFile.Length > 0 && len(r.File.Data) > q.ReadFile.Length:
		return wrong("%d bytes of a file, at most %d requested", len(r.File.Data), q.ReadFile.Length)
	case r.Called != nil:
		return r.Called.check(q.Syscall, wrong)
	}
	return nil
}

func (c *SyscallReply) check(q *Syscall, wrong func(string, ...any) error) error {
	out := c.Out
	for i, a := range q.Args {
		if a.Out <= 0 {
			continue
		}
		if len(out) == 0 {
			return wrong("no memory for argument %d", i)
		}
		if len(out[0]) != a.Out {
			return wrong("%d bytes of memory for argument %d, want %d", len(out[0]), i, a.Out)
		}
		out = out[1:]
	}
	if len(out) > 0 {
		return wrong("memory for no argument")
	}
	return nil
}
