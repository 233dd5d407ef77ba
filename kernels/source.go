package kernels

import (
	"context"
	"time"

	"github.com/faultline/faultline/internal/cache"
)

// Source is a kind of place that kernels come from.
type Source struct {
	Scheme string // what a spec begins with, before the colon
	// Forms are the forms that a spec of it can have, for messages.
	Forms []string
	// Check looks at what stands behind the colon, and at nothing else. Its error,
	// and Resolve's where the request is wrong, is a *SpecError whose What the
	// caller fills in.
	Check func(arg string) error
	// Resolve finds, fetches and unpacks the kernel.
	Resolve func(ctx context.Context, arg string, opts Options) (*Kernel, error)
	// Offers lists what there is, where that can be listed; nil where not.
	Offers func(ctx context.Context, opts Options) ([]Offer, error)
	// Mistaken says how to write, as a spec of the source, what somebody wrote
	// without a scheme; "" where it is nothing of the source's. nil says "" always.
	Mistaken func(text string) string
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
}

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
