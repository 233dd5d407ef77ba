package wire

import (
	"errors"
	"fmt"
)

// ErrAnswer is wrapped by the error of a reply that does not answer its request.
var ErrAnswer = errors.New("no answer to what was asked")

// Check holds a reply against its request: a guest whose kernel is broken may say
// anything. A reply that passes has an Error, or the answer to the operation and
// none other, or, from a victim, word of its death. Of memory there is as much as
// was asked for, and at most so much of a file.
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
	// A list may be empty, and then is not there.
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
			return wrong("%s is the answer to something else", a.name)
		case a.set && a.name != "devices" && answered:
			return wrong("%s is a second answer", a.name)
		}
		answered = answered || a.set
	}
	switch {
	case !answered:
		return wrong("it is empty")
	case q.ReadFile != nil && q.ReadFile.Length > 0 && len(r.File.Data) > q.ReadFile.Length:
		return wrong("%d bytes of a file, of which %d were asked for", len(r.File.Data), q.ReadFile.Length)
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
			return wrong("the memory of argument %d lacks", i)
		}
		if len(out[0]) != a.Out {
			return wrong("%d bytes of memory for argument %d, which are %d", len(out[0]), i, a.Out)
		}
		out = out[1:]
	}
	if len(out) > 0 {
		return wrong("memory that no argument is")
	}
	return nil
}
