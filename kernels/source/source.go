// Package source resolves a spec of a kernel, such as "apt:bookworm", with the source of
// its scheme. It has the list of all sources; how each works is in its own package.
package source

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/apt"
	"github.com/faultline/faultline/kernels/source/deb"
	"github.com/faultline/faultline/kernels/source/dir"
	"github.com/faultline/faultline/kernels/source/oci"
	"github.com/faultline/faultline/kernels/source/rpm"
	"github.com/faultline/faultline/kernels/source/rpmrepo"
	"github.com/faultline/faultline/kernels/source/tarball"
	"github.com/faultline/faultline/kernels/source/tree"
	kernelurl "github.com/faultline/faultline/kernels/source/url"
)

// List is a list of sources.
type List []kernels.Source

// All returns all sources. A new source is added here.
func All() List {
	return List{
		apt.Source(),
		deb.Source(),
		rpm.Source(),
		rpmrepo.Source(),
		tarball.Source(),
		kernelurl.Source(),
		oci.Source(),
		dir.Source(),
		tree.Source(),
	}
}

// Check checks that a spec has a form that Resolve accepts, without looking for the
// kernel. The error is a *kernels.SpecError.
func (l List) Check(spec string) error {
	_, _, err := l.parse(spec)
	return err
}

// Alone reports whether a spec's source resolves only one kernel at a time.
func (l List) Alone(spec string) bool {
	s, _, err := l.parse(spec)
	return err == nil && s.Exclusive
}

// Settings returns the names of a spec's parameters: those of all sources if the scheme
// is unknown.
func (l List) Settings(spec string) []string {
	scheme, _, _ := strings.Cut(spec, ":")
	var all []string
	for _, s := range l {
		if s.Scheme == scheme {
			return s.Params
		}
		all = append(all, s.Params...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// quoteSetting escapes the separators of parameters in a value.
var quoteSetting = strings.NewReplacer("%", "%25", "&", "%26", "?", "%3F")

// Set returns a spec with a parameter added, as text that parses back.
func Set(spec, name, value string) string {
	mark := "?"
	if _, set := settings(spec); len(set) > 0 {
		mark = "&"
	}
	return spec + mark + name + "=" + quoteSetting.Replace(value)
}

// settings cuts name=value[&name=value…] off the end of a spec's argument. Text of any
// other form after the last question mark belongs to the argument.
func settings(arg string) (rest string, set [][2]string) {
	i := strings.LastIndexByte(arg, '?')
	if i < 0 {
		return arg, nil
	}
	for part := range strings.SplitSeq(arg[i+1:], "&") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || strings.Contains(name, "/") {
			return arg, nil
		}
		set = append(set, [2]string{name, value})
	}
	return arg[:i], set
}

// knownParams names a source's parameters.
func knownParams(s kernels.Source) string {
	if len(s.Params) == 1 {
		return "the only parameter is " + s.Params[0]
	}
	return "known are " + suggest.Quoted(s.Params, "and")
}

// request parses a spec's argument for a source.
func request(s kernels.Source, arg string) (kernels.Request, error) {
	r := kernels.Request{Arg: arg}
	if len(s.Params) == 0 {
		return r, nil
	}
	arg, set := settings(arg)
	r = kernels.Request{Arg: arg, Set: map[string]string{}}
	mark := "?"
	for _, nv := range set {
		name := nv[0]
		if s.OwnQuery && !slices.Contains(s.Params, name) {
			r.Arg += mark + name + "=" + nv[1]
			mark = "&"
			continue
		}
		value, err := url.PathUnescape(nv[1])
		if err != nil {
			return r, &kernels.SpecError{
				Problem: fmt.Sprintf("the value of %s", name),
				Err:     err,
				Hint:    "write % as %25, & as %26, ? as %3F",
			}
		}
		e := &kernels.SpecError{
			Problem: fmt.Sprintf("%s: unknown parameter %q", s.Scheme, name),
			Hint:    knownParams(s),
		}
		switch {
		case !slices.Contains(s.Params, name):
			if n := suggest.Names(name, s.Params); len(n) > 0 {
				e.Hint = "did you mean " + suggest.Quoted(n, "or") + "?"
			}
			return r, e
		case value == "":
			e.Problem, e.Hint = name+" is empty", "write "+name+"=VALUE"
			return r, e
		case r.Set[name] != "":
			e.Problem, e.Hint = name+" is given twice", "remove one"
			return r, e
		}
		r.Set[name] = value
	}
	return r, nil
}

func (l List) parse(spec string) (kernels.Source, kernels.Request, error) {
	scheme, arg, ok := strings.Cut(spec, ":")
	var names []string
	for _, s := range l {
		if ok && s.Scheme == scheme {
			r, err := request(s, arg)
			if err == nil {
				err = s.Check(r)
			}
			return s, r, inSpec(spec, err)
		}
		names = append(names, s.Scheme)
	}
	e := &kernels.SpecError{What: "kernel " + spec, Problem: "no scheme"}
	if ok {
		e.Problem = fmt.Sprintf("unknown scheme %q", scheme)
	}
	e.Hint = "write one such as apt:bookworm, deb:FILE, rpm:FILE or dir:PATH; " +
		"faultline list kernels --help lists the forms"
	if n := suggest.Names(scheme, names); ok && len(n) > 0 {
		e.Hint = fmt.Sprintf("did you mean %q? %s", n[0], e.Hint)
	} else {
		for _, s := range l {
			if s.Suggest != nil && s.Suggest(spec) != "" {
				e.Hint = s.Suggest(spec)
			}
		}
	}
	return kernels.Source{}, kernels.Request{}, e
}

// password matches the user and the password of a URL, which are not logged.
var password = regexp.MustCompile(`://[^/@]*@`)

// inSpec sets the spec in a *kernels.SpecError that does not have it yet.
func inSpec(spec string, err error) error {
	if e, ok := err.(*kernels.SpecError); ok && e.What == "" {
		e.What = "kernel " + password.ReplaceAllString(strings.TrimSuffix(spec, ":"), "://…@")
	}
	return err
}

// Resolve finds, fetches and unpacks the kernel of a spec, or returns it from the
// cache: if nothing changed, a second call needs no network. The error is a
// *kernels.SpecError if the spec is wrong, an *execx.MissingError if a program is
// missing; any other is a failure of the machine, its network or its mirror. If ctx was
// cancelled, the error wraps context.Cause.
func (l List) Resolve(ctx context.Context, spec string, opts kernels.Options) (*kernels.Kernel, error) {
	s, r, err := l.parse(spec)
	if err != nil {
		return nil, err
	}
	opts, err = opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	k, err := s.Resolve(ctx, r, opts)
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
	k.Name = sanitize.Line(k.Name) // a directory can have any name, and this goes into scripts and logs
	return k, nil
}

// Offers lists the kernels of a place, such as "apt:trixie" or "rpmrepo:URL", the oldest
// first; for "" those that are available to this machine from the sources that can list
// them.
func (l List) Offers(ctx context.Context, place string, opts kernels.Options) ([]kernels.Offer, error) {
	opts, err := opts.WithDefaults()
	if err != nil {
		return nil, err
	}
	scheme, arg, _ := strings.Cut(place, ":")
	var all []kernels.Offer
	for _, s := range l {
		if s.List == nil {
			continue
		}
		if place != "" && (s.Scheme != scheme || arg == "") {
			continue
		}
		r, err := request(s, arg)
		if err != nil {
			return nil, inSpec(place, err)
		}
		offers, err := offered(ctx, s, r, opts)
		if err != nil || place != "" {
			return offers, inSpec(place, err)
		}
		all = append(all, offers...)
	}
	if place != "" {
		return nil, &kernels.SpecError{
			What:    place,
			Problem: "not a suite or repository",
			Hint:    "write apt:SUITE, rpmrepo:URL or dir:FOLDER/*",
		}
	}
	return all, nil
}

// Matching lists the kernels that match a spec with an asterisk, oldest first, each with the
// spec's parameters. ok is false for any other spec, and for a source that cannot list.
func (l List) Matching(
	ctx context.Context,
	spec string,
	opts kernels.Options,
) (offers []kernels.Offer, ok bool, err error) {
	s, r, err := l.parse(spec)
	if err != nil || s.List == nil || !strings.Contains(r.Arg, "*") {
		return nil, false, err
	}
	if opts, err = opts.WithDefaults(); err != nil {
		return nil, true, err
	}
	offers, err = offered(ctx, s, r, opts)
	return offers, true, inSpec(s.Scheme+":"+r.Arg, err)
}

// offered lists the kernels of a place, with the parameters that are given for it.
func offered(ctx context.Context, s kernels.Source, r kernels.Request, opts kernels.Options) ([]kernels.Offer, error) {
	offers, err := s.List(ctx, r, opts)
	for i := range offers {
		for _, name := range s.Params {
			if v := r.Set[name]; v != "" {
				offers[i].Spec = Set(offers[i].Spec, name, v)
			}
		}
	}
	return offers, err
}

// Resolve is All().Resolve.
func Resolve(ctx context.Context, spec string, opts kernels.Options) (*kernels.Kernel, error) {
	return All().Resolve(ctx, spec, opts)
}
