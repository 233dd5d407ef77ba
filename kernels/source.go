package kernels

import (
	"context"
	"time"

	"github.com/faultline/faultline/internal/cache"
)

// Source is a kind of source of kernels.
type Source struct {
	Scheme string // what a spec of it starts with, before the colon
	// Usage lists the forms of its specs, and About what they are, for messages.
	Usage []string
	About string
	// Params are the names of its parameters, in a spec (dir:PATH?config=FILE) and as keys
	// of a matrix entry. In a source without parameters, a question mark is part of the
	// argument.
	Params []string
	// OwnQuery means that other parameters are part of the argument, which is a URL.
	OwnQuery bool
	// Check checks only the text of the request. Its error, and Resolve's if the request
	// is wrong, is a *SpecError in which the caller sets What.
	Check func(r Request) error
	// Resolve finds, fetches and unpacks the kernel.
	Resolve func(ctx context.Context, r Request, opts Options) (*Kernel, error)
	// Exclusive means that Resolve uses all cores and leaves results that speed up the
	// next call, so that two in parallel would be slower than one after the other.
	Exclusive bool
	// List lists the kernels of a place, the argument, the oldest first: a suite, the URL of a
	// repository, or, with an asterisk, a pattern for some of them. The caller adds the
	// parameters to the specs.
	// For "" it lists those of the places that the machine is configured for. nil if the
	// source can't list kernels.
	List func(ctx context.Context, r Request, opts Options) ([]Offer, error)
	// Suggest returns the correct spec for a text without a scheme; "" if the text does
	// not look like one for this source. nil is like a function that returns "".
	Suggest func(text string) string
}

// Request is a parsed spec, for its source.
type Request struct {
	// Arg is the text after the colon, without parameters.
	Arg string
	// Set has the given values of the source's Params; none is empty.
	Set map[string]string
}

// Offer is an available kernel.
type Offer struct {
	// Spec is the spec to resolve.
	Spec string `json:"spec"`
	// Package, Version and Suite are those of the package; Version is the distribution's.
	// Suite is Debian's.
	Package string `json:"package"`
	Version string `json:"version"`
	Suite   string `json:"suite,omitempty"`
	// Cached reports whether it needs no download.
	Cached bool `json:"cached"`
}

// Options are the options of a resolution. The zero value is usable.
type Options struct {
	// Cache is where kernels are stored; nil means cache.Open("").
	Cache *cache.Cache
	// Log is called, like Printf, for steps that take time, one line per call; may be nil.
	Log func(format string, args ...any)
	// MaxAge is the maximum age of package lists; older ones are fetched again. 0 means
	// 24 hours.
	MaxAge time.Duration
	// Cached makes a source that compiles return only what is already compiled, or a
	// *NotBuiltError.
	Cached bool
}

// NotBuiltError is the error for a kernel that would have to be built, if
// Options.Cached is set.
type NotBuiltError struct {
	What string // what would be built: the source, its configuration and its compiler
}

func (e *NotBuiltError) Error() string { return "not built yet: " + e.What }

// Logf calls Log, if set.
func (o Options) Logf(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// WithDefaults replaces zero values with their defaults.
func (o Options) WithDefaults() (Options, error) {
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	var err error
	if o.Cache == nil {
		o.Cache, err = cache.Open("")
	}
	return o, err
}
