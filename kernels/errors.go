package kernels

import (
	"os"

	"github.com/faultline/faultline/internal/errkind"
)

// SpecError says that the request was wrong: the spec, or what it points at.
// Every other error of this package is trouble with the rig.
type SpecError struct {
	// What is the spec, or the place in a matrix file (file:line:column).
	What string
	// Problem is what is wrong with it, where Err does not say all; Hint what to
	// do next.
	Problem, Hint string
	// Err is the cause, if there is one.
	Err error
}

func (e *SpecError) Error() string {
	s := e.What
	if e.Problem != "" {
		s += ": " + e.Problem
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// ErrKind implements errkind.Kinder.
func (e *SpecError) ErrKind() errkind.Kind { return errkind.Request }

func (e *SpecError) Unwrap() error { return e.Err }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
