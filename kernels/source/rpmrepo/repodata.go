package rpmrepo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/faultline/faultline/internal/keyring"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
	"github.com/faultline/faultline/kernels/download"
	"github.com/faultline/faultline/kernels/source/rpm"
)

// Bounds of a list of packages, in bytes: unpacked, and of a package in it. Fedora's list has
// some 200 MB.
const (
	mostList    = 2 << 30
	mostPackage = 4 << 20
	mostKept    = 128 << 20 // of all packages that are kept
)

// pkg is a package of a repository.
type pkg struct {
	Name    string `xml:"name"`
	Arch    string `xml:"arch"`
	Version struct {
		Epoch   string `xml:"epoch,attr"`
		Version string `xml:"ver,attr"`
		Release string `xml:"rel,attr"`
	} `xml:"version"`
	Checksum checksum `xml:"checksum"`
	Location location `xml:"location"`
	Size     struct {
		Package int64 `xml:"package,attr"` // bytes
	} `xml:"size"`
}

type checksum struct {
	Type string `xml:"type,attr"`
	Sum  string `xml:",chardata"`
}

type location struct {
	Href string `xml:"href,attr"`
	Base string `xml:"base,attr"` // of xml:base; "" is the repository
}

func (p pkg) evr() string { return p.Version.Version + "-" + p.Version.Release }

// full returns NAME-VERSION-RELEASE.ARCH, as rpm -q prints it.
func (p pkg) full() string { return p.Name + "-" + p.evr() + "." + p.Arch }

// bytes returns how much memory the texts of a package need.
func (p pkg) bytes() int {
	return len(p.Name) + len(p.Version.Epoch) + len(p.evr()) + len(p.Checksum.Type) + len(p.Checksum.Sum) +
		len(p.Location.Href) + len(p.Location.Base)
}

// repository reads the list of packages of a repository: repodata/repomd.xml has the name and
// the digest of the list. Its signature is verified with the keys in a file, if one is given.
func repository(ctx context.Context, base, key string, opts kernels.Options) ([]pkg, error) {
	var index struct {
		Data []struct {
			Type     string   `xml:"type,attr"`
			Checksum checksum `xml:"checksum"`
			Location location `xml:"location"`
		} `xml:"data"`
	}
	at := base + "/repodata/repomd.xml"
	var text []byte
	err := get(
		ctx,
		at,
		opts,
		func(r io.Reader) (err error) {
			if text, err = io.ReadAll(io.LimitReader(r, mostPackage)); err != nil {
				return err
			}
			return xml.NewDecoder(bytes.NewReader(text)).Decode(&index)
		},
	)
	if err != nil {
		return nil, notRepository(base, at, err)
	}
	if key != "" {
		if err := verify(ctx, at, text, key, opts); err != nil {
			return nil, err
		}
	}
	for _, d := range index.Data {
		if d.Type != "primary" {
			continue
		}
		list, err := join(base, d.Location, d.Checksum)
		if err != nil {
			return nil, err
		}
		var all []pkg
		err = get(ctx, list, opts, func(r io.Reader) error { all, err = packages(ctx, r); return err })
		return all, notRepository(base, list, err)
	}
	return nil, &kernels.SpecError{Problem: at + " lists no packages (no primary data)", Hint: "check the URL"}
}

// verify verifies the signature of the repository's index, which is beside it.
func verify(ctx context.Context, at string, text []byte, key string, opts kernels.Options) error {
	keys, err := keyring.Read(key)
	if err != nil {
		return &kernels.SpecError{
			Problem: err.Error(),
			Hint:    "give the repository's keys, such as /etc/pki/rpm-gpg/RPM-GPG-KEY-...",
		}
	}
	err = get(ctx, at+".asc", opts, func(r io.Reader) error {
		_, err := openpgp.CheckArmoredDetachedSignature(keys, bytes.NewReader(text), io.LimitReader(r, mostPackage), nil)
		return err
	})
	var request *kernels.SpecError
	switch {
	case errors.As(err, &request):
		return &kernels.SpecError{Problem: "the repository is not signed: " + request.Problem,
			Hint: "omit key=, or give another repository"}
	case err != nil && isData(err):
		return &kernels.SpecError{Problem: fmt.Sprintf("%s: the signature cannot be verified with %s", at, key), Err: err,
			Hint: "give the repository's keys with key=FILE"}
	}
	return err
}

// notRepository explains an error of the request: a URL that is no repository's.
func notRepository(base, at string, err error) error {
	var request *kernels.SpecError
	switch {
	case errors.As(err, &request) && strings.HasSuffix(at, "/repomd.xml") && strings.Contains(request.Problem, "404"):
		c := *request
		c.Hint = "give the folder that has repodata/repomd.xml, and a package: " + form
		return &c
	case errors.As(err, &request):
		c := *request
		c.Hint = "the repository may be changing; try again later"
		return &c
	case err != nil && isData(err):
		return &kernels.SpecError{
			Problem: at + " is not XML, or is damaged",
			Err:     err,
			Hint:    "check that " + base + " is a repository",
		}
	}
	return err
}

// dataError is an error of what a server sent.
type dataError struct{ err error }

func (e *dataError) Error() string { return e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

func isData(err error) bool { return errors.As(err, new(*dataError)) }

// get downloads a file and reads its plain form.
func get(ctx context.Context, at string, opts kernels.Options, read func(io.Reader) error) error {
	file, err := download.Get(ctx, at, opts)
	if err != nil {
		return err
	}
	defer file.Close()
	f, err := os.Open(file.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, done, err := archive.Decompress(f)
	if err != nil {
		return &dataError{err}
	}
	defer done()
	if err := read(io.LimitReader(plain, mostList)); err != nil {
		return &dataError{err}
	}
	return nil
}

// packages reads the packages of a list that are for this architecture and may be a
// kernel's. One element is in memory at a time.
func packages(ctx context.Context, r io.Reader) (all []pkg, err error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, mostPackage)
	scanner.Split(elements)
	kept := 0
	for scanner.Scan() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var p pkg
		if err := xml.Unmarshal(scanner.Bytes(), &p); err != nil {
			return nil, err
		}
		if !rpm.IsArch(p.Arch) {
			continue
		}
		kept += p.bytes()
		if all = append(all, p); len(all) > mostKernels || kept > mostKept {
			return nil, fmt.Errorf("it has more than %d packages, or names of more than %d bytes", mostKernels, mostKept)
		}
	}
	return all, scanner.Err()
}

// mostKernels bounds the number of packages that are kept.
const mostKernels = 200_000

// elements splits a list into its <package> elements.
func elements(data []byte, atEOF bool) (advance int, token []byte, err error) {
	start := bytes.Index(data, []byte("<package "))
	if start < 0 {
		keep := min(len(data), len("<package ")-1)
		if atEOF {
			keep = 0
		}
		return len(data) - keep, nil, nil
	}
	end := bytes.Index(data[start:], []byte("</package>"))
	switch {
	case end >= 0:
		end += start + len("</package>")
		return end, data[start:end], nil
	case atEOF:
		return 0, nil, io.ErrUnexpectedEOF
	}
	return start, nil, nil
}

// join returns the URL of a file of a repository, with its digest.
func join(base string, l location, sum checksum) (string, error) {
	if l.Base != "" {
		base = l.Base
	}
	b, err := url.Parse(strings.TrimSuffix(base, "/") + "/")
	if err != nil {
		return "", &kernels.SpecError{Problem: fmt.Sprintf("cannot parse the URL %s", base), Hint: "check the repository"}
	}
	to, err := b.Parse(l.Href)
	if err != nil || l.Href == "" {
		return "", &kernels.SpecError{
			Problem: fmt.Sprintf("the repository has a file without a valid name (%q)", l.Href),
			Hint:    "check the URL",
		}
	}
	if !download.Digest(sum.Type) {
		return "", &kernels.SpecError{
			Problem: fmt.Sprintf("the repository has no digest of %s that can be checked, only %q", l.Href, sum.Type),
			Hint:    "download the packages, and give them as rpm:FILE,FILE",
		}
	}
	to.Fragment = sum.Type + "=" + strings.TrimSpace(sum.Sum)
	text := strings.ReplaceAll(to.String(), ",", "%2C") // a comma separates files
	if !download.IsURL(text) {
		return "", &kernels.SpecError{Problem: fmt.Sprintf("the repository has a file at %s", to), Hint: "check the URL"}
	}
	return text, download.Check(text)
}
