package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/debian/repository"
	"github.com/faultline/faultline/kernels/download"
)

// httpLists fetches and verifies the lists without apt. A source may lack a suite, as not
// every release has all its additional suites; one of them must have the requested one.
func (a *aptState) httpLists(ctx context.Context, stanzas []stanza, opts kernels.Options) ([]list, error) {
	var all []list
	failed, answered := map[string]error{}, map[string]bool{} // by suite
	for _, s := range stanzas {
		for _, uri := range s.uris {
			for _, name := range s.suites {
				l, err := a.httpList(ctx, s, uri, name, opts)
				var unreachable *unreachableError
				switch {
				case errors.Is(err, repository.ErrNoSuite):
					answered[name] = true
				case errors.As(err, &unreachable) && ctx.Err() == nil: // another mirror may have the suite
					failed[name] = err
				case err != nil:
					return nil, err
				default:
					all, answered[name] = append(all, l), true
				}
			}
		}
	}
	for suite, err := range failed {
		if !answered[suite] {
			return nil, err
		}
		opts.Logf("%v", err)
	}
	if !slices.ContainsFunc(all, func(l list) bool { return l.suite == a.suite }) {
		return nil, a.noSuite(a.machine.sources)
	}
	return all, nil
}

// unreachableError is the error for lists that one source does not give.
type unreachableError struct{ error }

func (e *unreachableError) Unwrap() error { return e.error }

// httpList opens a suite of a source, and verifies it.
func (a *aptState) httpList(ctx context.Context, s stanza, uri, name string, opts kernels.Options) (list, error) {
	if !download.IsURL(uri) {
		return list{}, &unreachableError{fmt.Errorf("fetch the package lists of %s: "+
			"without apt-get only http and https are available, not %s; use deb:FILE or dir:PATH", a.suite, uri)}
	}
	trust, err := a.trust(s)
	if err != nil {
		return list{}, err
	}
	suite, err := repository.Open(ctx, uri, name, trust, opts)
	signature := (*repository.SignatureError)(nil)
	switch {
	case errors.Is(err, repository.ErrNoSuite):
		return list{}, err
	case errors.As(err, &signature):
		return list{}, a.unverified(signature.Error())
	case err != nil:
		return list{}, &unreachableError{a.unreachable(err)}
	}
	return list{
		suite: name, origin: suite.Origin, uri: uri,
		read: func(ctx context.Context, parse func(io.Reader) error) error {
			return suite.Packages(ctx, "main", arch.AMD64.Debian, opts, parse)
		},
	}, nil
}

// trust returns what verifies a source: its own keys, else the machine's.
func (a *aptState) trust(s stanza) (repository.Trust, error) {
	var t repository.Trust
	files := a.machine.keys
	for _, f := range s.fields {
		switch strings.ToLower(f.name) {
		case "trusted":
			t.Unsigned = f.value == "yes"
		case "check-valid-until":
			t.Expired = f.value == "no"
		case "signed-by":
			files = nil
			if text, ok := repository.InlineKeys(f.value); ok {
				if err := t.Add([]byte(text)); err != nil {
					return t, fmt.Errorf("read the keys of the machine's apt sources: %w", err)
				}
				continue
			}
			files = strings.FieldsFunc(f.value, func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	if t.Unsigned {
		return t, nil
	}
	for _, file := range files {
		if err := t.Read(file); err != nil {
			return t, fmt.Errorf("%w; install Debian's keys (package debian-archive-keyring), or correct Signed-By", err)
		}
	}
	return t, nil
}

// httpDownload fetches and verifies the packages without apt.
func (c *aptChoice) httpDownload(ctx context.Context, dir string, opts kernels.Options) ([]string, error) {
	var files []string
	for _, p := range c.packages {
		got, err := download.Get(ctx, p.URL+"#sha256="+p.SHA256, opts)
		if err != nil {
			return nil, err
		}
		// The cache keeps the unpacked kernel, not the package.
		to := filepath.Join(dir, filepath.Base(got.Path))
		if err := errors.Join(os.Link(got.Path, to), got.Discard()); err != nil {
			return nil, err
		}
		files = append(files, to)
	}
	return files, nil
}
