// Package errkind classifies errors by who can fix them, and maps each class to an
// exit code of the command line. It does not format errors, and ends no process.
package errkind

import (
	"errors"
	"fmt"
)

// Kind is a class of errors: who can fix them.
type Kind int

const (
	// Infra is an infrastructure failure: nothing can be judged, and the request was
	// not the reason. It is the kind of an error that states no other.
	Infra Kind = iota
	// Request is an error in what the user asked for: flags, files, specs.
	Request
	// Tool is a program that has to be installed first.
	Tool
)

// Kinder is an error that states its kind.
type Kinder interface {
	error
	ErrKind() Kind
}

// Of returns the kind of the first Kinder in the tree of err, or Infra if it has none.
func Of(err error) Kind {
	var k Kinder
	if errors.As(err, &k) {
		return k.ErrKind()
	}
	return Infra
}

// request is an error of the kind Request without a type of its own.
type request struct{ error }

func (request) ErrKind() Kind   { return Request }
func (r request) Unwrap() error { return errors.Unwrap(r.error) }

// Requestf returns an error of the kind Request, formatted as by fmt.Errorf. The
// text ends with what the user can do.
func Requestf(format string, args ...any) error { return request{fmt.Errorf(format, args...)} }

// Exit codes of the command line.
const (
	ExitExpected    = 0   // everything was as expected
	ExitUnexpected  = 1   // some behaviour was not as expected
	ExitUsage       = 2   // the request is wrong, or a program is not installed
	ExitInfra       = 3   // infrastructure failure: could not judge
	ExitInterrupted = 130 // 128 + SIGINT, as in a shell
)

// ExitCode returns the exit code for err; 0 for nil.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitExpected
	case Of(err) == Infra:
		return ExitInfra
	}
	return ExitUsage
}
