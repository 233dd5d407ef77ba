// Package repository reads a Debian repository by HTTP, for machines that have no apt: the
// Release file of a suite, whose signature is verified, and its lists of packages, by the
// digests in that file. The format is that of the Debian wiki's page RepositoryFormat. It
// does not know which packages are kernels.
package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	deb822 "pault.ag/go/debian/control"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
	"github.com/faultline/faultline/kernels/download"
)

// Bounds of what a server sends, in bytes. Debian's main list has 50 MB.
const (
	mostRelease = 16 << 20
	mostList    = 1 << 30
)

const inRelease = "InRelease"

// ErrNoSuite means that the server has no such suite.
var ErrNoSuite = errors.New("the archive has no such suite")

// SignatureError is the error for a suite whose signature cannot be verified.
type SignatureError struct {
	Suite string
	Err   error
}

func (e *SignatureError) Error() string { return fmt.Sprintf("suite %s: %v", e.Suite, e.Err) }
func (e *SignatureError) Unwrap() error { return e.Err }

// Suite is a suite of a repository: "bookworm-security".
type Suite struct {
	URI    string // of the repository, as in sources.list(5)
	Name   string
	Origin string // who makes it: "Debian"

	sums   map[string]string // SHA-256 by the name of a list
	byHash bool
}

// Open reads the InRelease file of a suite, and verifies it.
func Open(ctx context.Context, uri, name string, trust Trust, opts kernels.Options) (*Suite, error) {
	s := &Suite{URI: strings.TrimRight(uri, "/"), Name: name}
	var data []byte
	err := s.get(ctx, inRelease, opts, func(r io.Reader) (err error) {
		data, err = io.ReadAll(io.LimitReader(r, mostRelease))
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, s.parse(data, trust)
}

// parse reads a Release file, in the form in which it has a signature.
func (s *Suite) parse(data []byte, trust Trust) error {
	paragraphs, err := deb822.NewParagraphReader(bytes.NewReader(data), trust.list())
	if err == nil && !trust.Unsigned && paragraphs.Signer() == nil {
		err = errors.New("it is not signed")
	}
	if err != nil {
		return &SignatureError{s.Name, err}
	}
	release, err := paragraphs.Next()
	if err != nil {
		return fmt.Errorf("%s is damaged: %w", s.at(inRelease), err)
	}
	fields := release.Values
	if until := fields["Valid-Until"]; until != "" && !trust.Expired {
		end, err := time.Parse(time.RFC1123, until)
		if err != nil {
			return fmt.Errorf("%s has an invalid date: %w", s.at(inRelease), err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s was valid until %s; the mirror is not updated any more, or this machine's clock is wrong",
				s.at(inRelease), until)
		}
	}
	s.Origin, s.byHash, s.sums = fields["Origin"], fields["Acquire-By-Hash"] == "yes", map[string]string{}
	for line := range strings.Lines(fields["SHA256"]) {
		if f := strings.Fields(line); len(f) == 3 {
			s.sums[f[2]] = f[0]
		}
	}
	return nil
}

// Packages passes the text of a suite's list of packages to read: component "main".
func (s *Suite) Packages(
	ctx context.Context, component, architecture string, opts kernels.Options, read func(io.Reader) error,
) error {
	dir := component + "/binary-" + architecture
	for _, ending := range []string{".xz", ".gz", ""} {
		name := dir + "/Packages" + ending
		sum, ok := s.sums[name]
		if !ok {
			continue
		}
		if s.byHash { // not replaced while it is read
			name = dir + "/by-hash/SHA256/" + sum
		}
		return s.get(ctx, name+"#sha256="+sum, opts, func(r io.Reader) error {
			plain, done, err := archive.Decompress(r)
			if err != nil {
				return err
			}
			defer done()
			return read(io.LimitReader(plain, mostList))
		})
	}
	return fmt.Errorf("suite %s of %s has no packages of %s for %s", s.Name, s.URI, component, architecture)
}

// at returns the URL of a suite's file.
func (s *Suite) at(name string) string { return s.URI + "/dists/" + s.Name + "/" + name }

// get passes the content of a suite's file to read. The file is not kept.
func (s *Suite) get(ctx context.Context, name string, opts kernels.Options, read func(io.Reader) error) error {
	opts.Log = nil // the caller says what it does
	file, err := download.Get(ctx, s.at(name), opts)
	var request *kernels.SpecError
	switch {
	case errors.As(err, &request) && name == inRelease && strings.Contains(request.Problem, "404"):
		return fmt.Errorf("%s: %w", s.at(name), ErrNoSuite)
	case request != nil:
		return errors.New(request.Error()) // the archive's fault, not the request's
	case err != nil:
		return err
	}
	f, err := os.Open(file.Path)
	if err == nil {
		err = read(f)
		f.Close()
	}
	return errors.Join(err, file.Discard())
}
