package kernels

import (
	"os"
	"strings"

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
	var parts []string
	for _, part := range []string{e.What, e.Problem} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	s := strings.Join(parts, ": ")
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
