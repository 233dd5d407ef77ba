// Package oci gets kernels from container images, as little-vm-helper, cilium's ci-kernels
// and bootc publish them: oci:IMAGE. Package archive finds the kernel among the files of the
// image.
package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
	"github.com/faultline/faultline/kernels/download"
)

const form = "oci:REGISTRY/IMAGE[:TAG|@DIGEST]"

// Source returns the source for oci:IMAGE. Credentials are those of docker login and podman
// login.
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "oci", Usage: []string{form}, About: "a container image with a kernel", Check: check, Resolve: resolve,
	}
}

func check(r kernels.Request) error {
	_, err := parse(r.Arg)
	return err
}

func parse(arg string) (name.Reference, error) {
	ref, err := name.ParseReference(arg)
	if err != nil || !strings.Contains(arg, "/") {
		return nil, &kernels.SpecError{Problem: fmt.Sprintf("%q is not an image of a registry", arg), Hint: "write " + form}
	}
	return ref, nil
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	ref, err := parse(r.Arg)
	if err != nil {
		return nil, err
	}
	image, err := remote.Image(ref,
		remote.WithContext(ctx),
		remote.WithTransport(download.Patient(remote.DefaultTransport)),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch.AMD64.Debian}))
	if err != nil {
		return nil, answer(ref, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, answer(ref, err)
	}
	k, err := kernels.Unpack(
		ctx,
		opts,
		[]string{"oci", digest.String()},
		func(ctx context.Context, dir string) ([]kernels.Package, error) {
			opts.Logf("pull %s", ref)
			return nil, archive.Unpack(ctx, dir, opts, func(write func(archive.Next) error) error {
				err := files(ctx, image, opts, write)
				if errors.As(err, new(*pullError)) {
					return answer(ref, err)
				}
				return archive.Damaged(ref.String(), err, "check who published the image")
			})
		},
	)
	if err != nil {
		return nil, err
	}
	k.Name = fmt.Sprintf("%s (oci:%s:%s)", k.Release, path.Base(ref.Context().RepositoryStr()), ref.Identifier())
	return k, nil
}

// answer turns a registry's refusal into an error of the request.
func answer(ref name.Reference, err error) error {
	var t *transport.Error
	var request *kernels.SpecError
	switch {
	case err != nil && strings.HasPrefix(err.Error(), "no child with platform"): // not a type of the library's
		return &kernels.SpecError{
			Problem: fmt.Sprintf("%s is not for linux/%s", ref, arch.AMD64.Debian),
			Hint:    "give an image for this architecture",
		}
	case err == nil, errors.As(err, &request), !errors.As(err, &t):
	case t.StatusCode == http.StatusUnauthorized, t.StatusCode == http.StatusForbidden:
		return &kernels.SpecError{Problem: fmt.Sprintf("the registry refuses %s (%d)", ref, t.StatusCode),
			Hint: "check the name, or log in (podman login)"}
	case t.StatusCode == http.StatusNotFound:
		return &kernels.SpecError{
			Problem: fmt.Sprintf("the registry does not have %s", ref),
			Hint:    "check the name and the tag",
		}
	}
	if err != nil && !errors.As(err, &request) {
		return fmt.Errorf("pull %s: %w; check the registry's name and the network", ref, err)
	}
	return err
}
