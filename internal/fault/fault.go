// Package fault tells errors apart by whose they are to mend, which is what an
// exit code says. It words no errors of others, and ends no process.
package fault

import (
	"errors"
	"fmt"
)

// Kind says whose an error is to mend.
type Kind int

const (
	// Rig is trouble with the rig: nothing can be judged, and the request was not
	// what was wrong. An error that says nothing else is of this kind.
	Rig Kind = iota
	// Request is a request that can't be met as it is: flags, files, specs.
	Request
	// Tool is a program that this machine must have first. Nothing else that is
	// asked for here fares better.
	Tool
)

// Kinder is an error that knows its kind.
type Kinder interface {
	error
	Fault() Kind
}

// Of is the kind of an error: that of the first in its tree that knows one.
func Of(err error) Kind {
	var k Kinder
	if errors.As(err, &k) {
		return k.Fault()
	}
	return Rig
}

// request is an error of the kind Request that is words and nothing else.
type request struct{ error }

func (request) Fault() Kind     { return Request }
func (r request) Unwrap() error { return errors.Unwrap(r.error) }

// Requestf words, as fmt.Errorf does, what is wrong with a request. The text ends
// with the way out.
func Requestf(format string, args ...any) error { return request{fmt.Errorf(format, args...)} }

// Exit codes of the command line.
const (
	ExitExpected    = 0   // everything was as expected
	ExitUnexpected  = 1   // some behaviour was not
	ExitUsage       = 2   // the request was wrong, or a tool is not installed
	ExitRig         = 3   // the rig failed: could not judge
	ExitInterrupted = 130 // as a shell says of SIGINT
)

// ExitCode is what the command line exits with over an error; 0 is nil's.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitExpected
	case Of(err) == Rig:
		return ExitRig
	}
	return ExitUsage
}
