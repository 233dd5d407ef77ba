package kernels

import (
	"context"
	"time"

	"github.com/faultline/faultline/internal/cache"
)

// Source is a kind of place that kernels come from.
type Source struct {
	Scheme string // what a spec begins with, before the colon
	// Usage are the forms that a spec of it can have, for messages.
	Usage []string
	// Params are the names of what can be set beside the argument, in a spec
	// (dir:PATH?config=FILE) and as keys of a matrix entry. A source with none takes
	// a question mark as part of its argument.
	Params []string
	// Check looks at the request's text, and at nothing else. Its error,
	// and Resolve's where the request is wrong, is a *SpecError whose What the
	// caller fills in.
	Check func(r Request) error
	// Resolve finds, fetches and unpacks the kernel.
	Resolve func(ctx context.Context, r Request, opts Options) (*Kernel, error)
	// Exclusive says that Resolve takes all cores and leaves what helps the next one, so
	// that two at a time would be slower than one after the other.
	Exclusive bool
	// List lists what there is, where that can be listed; nil where not.
	List func(ctx context.Context, opts Options) ([]Offer, error)
	// Suggest says how to write, as a spec of the source, what somebody wrote
	// without a scheme; "" where it is nothing of the source's. nil says "" always.
	Suggest func(text string) string
}

// Request is what a spec asks of its source.
type Request struct {
	// Arg is what stands behind the colon, without settings.
	Arg string
	// Set has those of the source's Settings that are given, none of them empty.
	Set map[string]string
}

// Offer is a kernel that can be had.
type Offer struct {
	// Spec is what to ask Resolve for.
	Spec string `json:"spec"`
	// Package, Version and Suite are the package's; Version is Debian's.
	Package string `json:"package"`
	Version string `json:"version"`
	Suite   string `json:"suite"`
	// Cached says that it needs no download.
	Cached bool `json:"cached"`
}

// Options are what a resolution may be given. The zero value is good.
type Options struct {
	// Cache is where kernels are kept; nil stands for cache.Open("").
	Cache *cache.Cache
	// Log is told of what takes time, one line a call, as Printf would; may be nil.
	Log func(format string, args ...any)
	// MaxAge is how old the lists of what there is may be before they are fetched
	// anew; 0 stands for 24 hours.
	MaxAge time.Duration
	// Cached has a source that compiles give what is compiled already, or a
	// *NotBuiltError.
	Cached bool
}

// NotBuiltError is a kernel that has to be built first, where Options.Cached
// forbids that.
type NotBuiltError struct {
	What string // would be built: the source, its configuration and its compiler
}

func (e *NotBuiltError) Error() string { return "it is not built yet: " + e.What }

// Logf tells Log, if there is one.
func (o Options) Logf(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

// WithDefaults fills in what the zero value stands for.
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
