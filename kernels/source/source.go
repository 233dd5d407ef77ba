// Package source lists where kernels come from, and turns a spec such as
// "apt:bookworm" into a kernel. What a source does is its own package's business.
package source

import (
	"context"
	"fmt"
	"strings"

	"github.com/faultline/faultline/internal/near"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/apt"
	"github.com/faultline/faultline/kernels/source/deb"
	"github.com/faultline/faultline/kernels/source/dir"
)

// List is some sources.
type List []kernels.Source

// All are all sources. A new one is a line here.
func All() List {
	return List{
		apt.Source(),
		deb.Source(),
		dir.Source(),
	}
}

// Forms lists the forms that a spec can have, for help texts.
func (l List) Forms() []string {
	var forms []string
	for _, s := range l {
		forms = append(forms, s.Forms...)
	}
	return forms
}

// Check says whether a spec has a form that Resolve takes, without looking for
// what it names. The error is a *kernels.SpecError.
func (l List) Check(spec string) error {
	_, _, err := l.parse(spec)
	return err
}

func (l List) parse(spec string) (kernels.Source, string, error) {
	scheme, arg, ok := strings.Cut(spec, ":")
	var names []string
	for _, s := range l {
		if ok && s.Scheme == scheme {
			return s, arg, inSpec(spec, s.Check(arg))
		}
		names = append(names, s.Scheme)
	}
	e := &kernels.SpecError{What: "kernel " + spec, Problem: "no scheme before a colon"}
	if ok {
		e.Problem = fmt.Sprintf("unknown scheme %q", scheme)
	}
	e.WayOut = "write one of " + strings.Join(l.Forms(), ", ")
	if n := near.Names(scheme, names); ok && len(n) > 0 {
		e.WayOut = fmt.Sprintf("did you mean %q? %s", n[0], e.WayOut)
	} else {
		for _, s := range l {
			if s.Mistaken != nil && s.Mistaken(spec) != "" {
				e.WayOut = s.Mistaken(spec)
			}
		}
	}
	return kernels.Source{}, "", e
}

// inSpec puts the spec into a *kernels.SpecError that does not have it yet.
func inSpec(spec string, err error) error {
	if e, ok := err.(*kernels.SpecError); ok && e.What == "" {
		e.What = "kernel " + spec
	}
	return err
}

// Resolve finds, fetches and unpacks the kernel that a spec names, or takes it
// from the cache: when nothing changed, a second call needs no network. An error
// is a *kernels.SpecError when the spec is wrong, a *tool.MissingError when a
// program is missing; any other is trouble with the machine, its network or its mirror.
// What ctx stopped wraps context.Cause.
func (l List) Resolve(ctx context.Context, spec string, opts kernels.Options) (*kernels.Kernel, error) {
	s, arg, err := l.parse(spec)
	if err != nil {
		return nil, err
	}
	opts, err = opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	k, err := s.Resolve(ctx, arg, opts)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("resolve kernel %s: %w", spec, context.Cause(ctx))
		}
		if _, ok := err.(*kernels.SpecError); ok {
			return nil, inSpec(spec, err)
		}
		return nil, fmt.Errorf("resolve kernel %s: %w", spec, err)
	}
	k.Spec = spec
	if k.Name == "" {
		k.Name = fmt.Sprintf("%s (%s)", k.Version, spec)
	}
	return k, nil
}

// Offers lists the kernels that this machine can be had from where that can be
// listed, the oldest first.
func (l List) Offers(ctx context.Context, opts kernels.Options) ([]kernels.Offer, error) {
	opts, err := opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	var all []kernels.Offer
	for _, s := range l {
		if s.Offers == nil {
			continue
		}
		offers, err := s.Offers(ctx, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, offers...)
	}
	return all, nil
}

// Resolve is All().Resolve.
func Resolve(ctx context.Context, spec string, opts kernels.Options) (*kernels.Kernel, error) {
	return All().Resolve(ctx, spec, opts)
}
