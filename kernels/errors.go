package kernels

import (
	"os"

	"github.com/faultline/faultline/internal/errkind"
)

// SpecError is an error of the request: the spec, or the file or tree that it refers to.
// Every other error of this package is an infrastructure failure.
type SpecError struct {
	// What is the spec, or the position in a matrix file (file:line:column).
	What string
	// Problem is what is wrong with it, unless Err is sufficient; Hint is what to do
	// next.
	Problem, Hint string
	// Err is the cause; may be nil.
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
