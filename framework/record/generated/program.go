// Package generated describes generated programs as data: the memory that a program uses,
// and the steps that it takes on one page of it. A program is the text of its id, so that
// a record, a command line and a seed need nothing else. Package suites/generated carries
// programs out; package run/explore chooses them.
package generated

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/suggest"
)

// Suite is the name of the suite of generated programs, and the first part of their ids.
const Suite = "generated"

// Program is a generated program.
type Program struct {
	Place Place
	Steps []Step
}

// Step is an operation on the page, by a process.
type Step struct {
	Role Role
	Operation
}

// Role is the process that takes a step.
type Role string

// Roles of processes. The victim is the first process; the others map the same memory.
const (
	Victim Role = ""
	Child  Role = "child"  // forked by the victim
	Second Role = "second" // maps the victim's file
	Thread Role = "thread" // of the victim
)

// String returns the step as in an id: "load", "child-load".
func (s Step) String() string {
	if s.Role == Victim {
		return s.Name
	}
	return string(s.Role) + "-" + s.Name
}

// ID returns the program as the id of a scenario: generated/PLACE/STEP/STEP.
func (p Program) ID() string {
	parts := []string{Suite, p.Place.Name}
	for _, s := range p.Steps {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, "/")
}

// Is reports whether an id is that of a generated program.
func Is(id string) bool { return strings.HasPrefix(id, Suite+"/") }

// Parse returns the program of an id. The error of a program that is not one, or that makes
// no sense (Program.Check), is a request error.
func Parse(id string) (Program, error) {
	parts := strings.Split(id, "/")
	if len(parts) < 3 || parts[0] != Suite {
		return Program{}, errkind.Requestf("%q is no generated program: want %s/PLACE/STEP…", id, Suite)
	}
	i := slices.IndexFunc(places, func(p Place) bool { return p.Name == parts[1] })
	if i < 0 {
		return Program{}, errkind.Requestf("%s: no place %q%s", id, parts[1], meant(parts[1], names(places)))
	}
	p := Program{Place: places[i]}
	for _, text := range parts[2:] {
		s, ok := parseStep(text)
		if !ok {
			return p, errkind.Requestf("%s: no step %q%s", id, text, meant(text, names(operations)))
		}
		p.Steps = append(p.Steps, s)
	}
	if why := p.Check(); why != "" {
		return p, errkind.Requestf("%s makes no sense: %s", id, why)
	}
	return p, nil
}

func parseStep(text string) (Step, bool) {
	for _, r := range []Role{Child, Second, Thread, Victim} {
		name := text
		if r != Victim {
			var ok bool
			if name, ok = strings.CutPrefix(text, string(r)+"-"); !ok {
				continue
			}
		}
		for _, o := range operations {
			if o.Name == name {
				return Step{r, o}, true
			}
		}
	}
	return Step{}, false
}

// Most bounds the steps of a program: a difference that needs more is rare, and each step
// takes time in every program.
const Most = 6

// Check returns why a program makes no sense; empty if it does.
func (p Program) Check() string {
	if len(p.Steps) == 0 || len(p.Steps) > Most {
		return fmt.Sprintf("it has %d steps, want 1 to %d", len(p.Steps), Most)
	}
	injected, framed, forked, pinned, touched := false, false, false, false, p.Place.Touched
	for i, s := range p.Steps {
		switch {
		case !s.Fits(p.Place):
			return fmt.Sprintf("%s is not possible on %s", s.Name, p.Place.Name)
		case s.Role != Victim && !slices.Contains(s.Roles, s.Role):
			return fmt.Sprintf("the %s process cannot do %s", s.Role, s.Name)
		case s.Role == Child && !forked:
			return s.String() + " needs a fork before it"
		case s.Role == Second && p.Place.Kind&File == 0:
			return s.String() + " needs memory of a file, which a second process can map"
		case s.Once && slices.ContainsFunc(p.Steps[:i], func(o Step) bool { return o.Name == s.Name }):
			return s.String() + " is possible only once"
		case s.Breaks && pinned:
			return s.String() + " would wait for a page that the program has pinned"
		case s.Frame && !touched:
			return s.String() + " needs a page that was accessed before it"
		case s.After && !injected:
			return s.String() + " needs an injection before it"
		case s.Poisoned && !framed:
			return s.String() + " needs a page that was injected by its frame"
		}
		touched = touched || s.Touches
		pinned = pinned || s.Pins && p.Place.Kind&DAX != 0
		forked = forked || s.Name == Fork
		injected = injected || s.Injection
		framed = framed || s.Injection && s.Frame
	}
	if !injected {
		return "it injects nothing"
	}
	return ""
}

// meant returns the end of an error about a misspelled name.
func meant(written string, known []string) string {
	if n := suggest.Names(written, known); len(n) > 0 {
		return "; did you mean " + strings.Join(n, " or ") + "?"
	}
	return "; known are " + strings.Join(known, ", ")
}

func names[T interface{ name() string }](all []T) []string {
	var out []string
	for _, one := range all {
		out = append(out, one.name())
	}
	return out
}
