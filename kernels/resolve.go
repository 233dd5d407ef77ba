package kernels

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/near"
	"github.com/faultline/faultline/kernels/kconfig"
)

// Options are what a resolution may be given. The zero value is good.
type Options struct {
	// Cache is where kernels are kept; nil stands for cache.Open("").
	Cache *cache.Cache
	// Log is told of what takes time, one line a call, as Printf would; may be nil.
	Log func(format string, args ...any)
	// MaxAge is how old the package lists may be before they are fetched
	// anew; 0 stands for 24 hours.
	MaxAge time.Duration

	// aptSources are the files the machine's apt sources are read from; nil:
	// as apt itself is configured. Tests set it.
	aptSources []string
}

func (o Options) log(format string, args ...any) {
	if o.Log != nil {
		o.Log(format, args...)
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxAge == 0 {
		o.MaxAge = 24 * time.Hour
	}
	var err error
	if o.Cache == nil {
		o.Cache, err = cache.Open("")
	}
	return o, err
}

// source is a kind of place that kernels come from.
type source struct {
	scheme string
	// forms are what may follow the scheme, for messages.
	forms []string
	// check looks at the argument alone; resolve does the work. Both return a
	// *SpecError (What is filled in by the caller) when the request is wrong.
	check   func(arg string) error
	resolve func(ctx context.Context, arg string, opts Options) (*Kernel, error)
}

// sources is the register of kinds. A new kind of place is one more line here.
func sources() []source {
	return []source{
		{"apt", []string{"apt:SUITE", "apt:SUITE/PACKAGE", "apt:SUITE/VERSION", "apt:PACKAGE"}, checkApt, resolveApt},
		{"deb", []string{"deb:FILE[,FILE...]"}, checkDeb, resolveDeb},
		{"dir", []string{"dir:PATH"}, checkDir, resolveDir},
	}
}

// Forms lists the forms that a spec can have, for help texts.
func Forms() []string {
	var forms []string
	for _, s := range sources() {
		forms = append(forms, s.forms...)
	}
	return forms
}

// Check says whether a spec has a form that Resolve takes, without looking for
// what it names. The error is a *SpecError.
func Check(spec string) error {
	_, _, err := parseSpec(spec)
	return err
}

func parseSpec(spec string) (source, string, error) {
	scheme, arg, ok := strings.Cut(spec, ":")
	var names []string
	for _, s := range sources() {
		if ok && s.scheme == scheme {
			return s, arg, inSpec(spec, s.check(arg))
		}
		names = append(names, s.scheme)
	}
	e := &SpecError{What: "kernel " + spec, Problem: "no scheme before a colon"}
	if ok {
		e.Problem = fmt.Sprintf("unknown scheme %q", scheme)
	}
	e.WayOut = "write one of " + strings.Join(Forms(), ", ")
	if n := near.Names(scheme, names); ok && len(n) > 0 {
		e.WayOut = fmt.Sprintf("did you mean %q? %s", n[0], e.WayOut)
	} else if info, err := os.Stat(spec); err == nil {
		if info.IsDir() {
			e.WayOut = "for a folder write dir:" + spec
		} else if strings.HasSuffix(spec, ".deb") {
			e.WayOut = "for a package file write deb:" + spec
		}
	}
	return source{}, "", e
}

// inSpec puts the spec into a *SpecError that does not have it yet.
func inSpec(spec string, err error) error {
	if e, ok := err.(*SpecError); ok && e.What == "" {
		e.What = "kernel " + spec
	}
	return err
}

// Resolve finds, fetches and unpacks the kernel that a spec names, or takes it
// from the cache: when nothing changed, a second call needs no network. An error
// is a *SpecError when the spec is wrong, a *ToolError when a program is
// missing; any other is trouble with the machine, its network or its mirror.
// What ctx stopped wraps context.Cause.
func Resolve(ctx context.Context, spec string, opts Options) (*Kernel, error) {
	s, arg, err := parseSpec(spec)
	if err != nil {
		return nil, err
	}
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, err
	}
	k, err := s.resolve(ctx, arg, opts)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("resolve kernel %s: %w", spec, context.Cause(ctx))
		}
		if _, ok := err.(*SpecError); ok {
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

// load reads a Kernel from its cache entry.
func load(entry *cache.Entry) (*Kernel, error) {
	fail := func(err error) (*Kernel, error) {
		entry.Close()
		return nil, fmt.Errorf("read the unpacked kernel in the cache: %w; remove %s", err, entry.Path)
	}
	data, err := os.ReadFile(filepath.Join(entry.Path, fileRecord))
	if err != nil {
		return fail(err)
	}
	k := &Kernel{entry: entry}
	if err := json.Unmarshal(data, k); err != nil {
		return fail(err)
	}
	k.Image = filepath.Join(entry.Path, k.Image)
	if k.ModulesDir != "" {
		k.ModulesDir = filepath.Join(entry.Path, k.ModulesDir)
	}
	if data, err = os.ReadFile(filepath.Join(entry.Path, fileConfig)); err != nil {
		return fail(err)
	}
	if k.Config, err = kconfig.ParseBytes(data); err != nil {
		return fail(err)
	}
	return k, nil
}

var (
	reBannerDebian = regexp.MustCompile(`Debian (\d[^ ]*)`)
	reVersion      = regexp.MustCompile(`^\d+\.\d+(\.\d+)?(-rc\d+)?`)
)

// upstreamVersion is the part of a Debian version that upstream gave:
// "6.1.192-1" is 6.1.192, "7.3~rc2-1~exp1" is 7.3-rc2.
func upstreamVersion(debian string) string {
	if _, v, ok := strings.Cut(debian, ":"); ok {
		debian = v
	}
	if i := strings.LastIndexByte(debian, '-'); i > 0 {
		debian = debian[:i]
	}
	debian = strings.Replace(debian, "~rc", "-rc", 1)
	if v := reVersion.FindString(debian); v != "" {
		return v
	}
	return debian
}

// imageVersion is the upstream version of an image: the one that Debian writes
// into the banner, since Debian's releases leave the patch level out, else the
// release's.
func imageVersion(release, banner string) string {
	if m := reBannerDebian.FindStringSubmatch(banner); m != nil && strings.Contains(m[1], ".") {
		// The compiler is "(Debian 12.2.0-14+deb12u1)": the kernel's comes last.
		all := reBannerDebian.FindAllStringSubmatch(banner, -1)
		if v := upstreamVersion(all[len(all)-1][1]); sameSeries(v, release) {
			return v
		}
	}
	if v := reVersion.FindString(release); v != "" {
		return v
	}
	return release
}

func sameSeries(version, release string) bool {
	v, r := strings.SplitN(version, ".", 3), strings.SplitN(release, ".", 3)
	return len(v) > 1 && len(r) > 1 && v[0] == r[0] && v[1] == r[1][:min(len(r[1]), len(v[1]))]
}
