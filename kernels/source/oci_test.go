package source

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-containerregistry/pkg/registry"
)

// push puts an image with these layers into a registry.
func push(t *testing.T, ref string, layers ...[]byte) {
	t.Helper()
	image := v1.Image(empty.Image)
	for _, data := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			t.Fatal(err)
		}
	}
	to, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(to, image); err != nil {
		t.Fatal(err)
	}
}

// A kernel in a container image is that of the same files in a directory. Later layers count.
func TestOCI(t *testing.T) {
	needs(t, "depmod")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New())
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://") + "/kernels/"
	wrong := files{"boot/config-" + rel: "CONFIG_SWAP=y\n"}
	push(t, at+"ci:6.1", tarOf(t, usual().and(wrong)), tarOf(t, files{"boot/config-" + rel: config}))
	push(t, at+"lvh:6.1", tarOf(t, unsplit(rel, "6.1.192-1").moved("data/kernels/6.1/")))
	push(t, at+"bootc:9", tarOf(t, fedora()))
	push(t, at+"none:1", tarOf(t, files{"etc/passwd": "x"}))
	opts := testOptions(t)
	for _, image := range []string{"lvh:6.1", "bootc:9", "ci:6.1"} {
		k, err := Resolve(t.Context(), "oci:"+at+image, opts)
		if err != nil {
			t.Errorf("%s: %v", image, err)
			continue
		}
		if k.Digest != want.Digest || k.Name != rel+" (oci:"+image+")" {
			t.Errorf("%s: got %+v, want that of %+v", image, k, want)
		}
		if again, err := Resolve(t.Context(), "oci:"+at+image, opts); err != nil || again.Fresh() {
			t.Errorf("%s: again: got error %v, or a new kernel", image, err)
		}
	}
	for spec, want := range map[string]string{
		"oci:" + at + "none:1": "no kernel image in it",
		"oci:" + at + "no:1":   "the registry does not have " + at + "no:1; check the name and the tag",
		"oci:":                 "is not an image of a registry; write oci:REGISTRY/IMAGE",
		"oci:UPPER/x":          "is not an image of a registry",
		"oci:image":            "is not an image of a registry",
	} {
		_, err := Resolve(t.Context(), spec, testOptions(t))
		wantSpecError(t, err, want)
	}
	server.Close()
	if _, err := Resolve(t.Context(), "oci:"+at+"ci:6.1", testOptions(t)); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without the registry: got %v, want connection refused", err)
	}
}
