package generated

import (
	"context"

	. "github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/inject"
	"github.com/faultline/faultline/framework/record/generated"
)

// bad is the page on which programs work, and inside is the offset of the accessed byte in
// it, so that an exact address differs from the page's.
const (
	bad    = 4
	inside = 5
)

// state is a program that is being carried out. Its fields are the variables of the spec
// that Source writes.
type state struct {
	ctx context.Context
	g   *Guest
	f   *File
	v   *Victim
	m   *Mapping
	// page is the page's first byte, at the byte in it that is accessed, and next one of the
	// page after it.
	page, at, next Addr
	// The processes besides the victim; nil until their first step.
	child, second, thread *Victim
	// The process of the step, and the address of the byte in it.
	who   *Victim
	where Addr

	other *Mapping // of the second process
	mount *Mount   // of a file on an nvdimm with DAX, whose bad blocks a machine check adds
	swap  *Swap
	// frame is the page's frame at the time of the injection into it.
	frame    inject.Frame
	injected bool
}

// as makes the process of a role take the next step.
func (s *state) as(r generated.Role) {
	s.who, s.where = s.v, s.at
	switch r {
	case generated.Child:
		s.who = s.child
	case generated.Thread:
		if s.thread == nil {
			s.thread = s.v.Thread(s.ctx)
		}
		s.who = s.thread
	case generated.Second:
		if s.second == nil {
			s.second = s.g.Second(s.ctx)
			s.other = s.second.MapPart(s.ctx, s.f, 0, s.m.Bytes, Shared)
		}
		s.who, s.where = s.second, s.other.At(Page(bad)+inside)
	}
}

// found reports whether the page is present, and remembers its frame.
func (s *state) found() bool {
	if s.v.Present(s.ctx, s.at).Note != "present" {
		return false
	}
	s.frame, s.injected = s.v.Frame(s.ctx, s.page), true
	return true
}
