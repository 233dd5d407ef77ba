package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/faultline/faultline/kernels"
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
	arm, err := name.ParseReference(at + "arm:1")
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	})
	if err := remote.WriteIndex(arm, index); err != nil {
		t.Fatal(err)
	}
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
		"oci:" + at + "arm:1":  at + "arm:1 is not for linux/amd64; give an image for this architecture",
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

// A registry that sends something else than the image's manifest says is an error of the
// request; one that breaks off is a failure of the network. Nothing is left in the cache.
func TestOCIHostile(t *testing.T) {
	needs(t, "depmod")
	var alter func(w http.ResponseWriter, body []byte)
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") || alter == nil {
			images.ServeHTTP(w, r)
			return
		}
		blob := httptest.NewRecorder()
		images.ServeHTTP(blob, r)
		alter(w, blob.Body.Bytes())
	}))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://") + "/kernels/"
	secret := file(t, "secret", []byte(config))
	rest := usual().without("config-" + rel)
	push(t, at+"good:1", tarOf(t, usual()))
	push(t, at+"text:1", []byte(strings.Repeat("x", 4096)))
	push(t, at+"link:1", tarOf(t, rest, tar.Header{Name: "config-" + rel, Typeflag: tar.TypeSymlink, Linkname: secret}))
	push(t, at+"huge:1", claims(t, "boot/x", 20<<30))
	other := compressed(t, tarOf(t, usual()), func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.NoCompression) })
	for name, c := range map[string]struct {
		image, want string
		request     bool
		alter       func(w http.ResponseWriter, body []byte)
	}{
		"no archive":        {"text:1", "cannot unpack " + at + "text:1", true, nil},
		"a link out":        {"link:1", "it has no kernel configuration", true, nil},
		"a huge file":       {"huge:1", "it unpacks to more than 16 GiB", true, nil},
		"another layer":     {"good:1", "error verifying sha256 checksum", true, func(w http.ResponseWriter, _ []byte) { _, _ = w.Write(other) }},
		"more than a layer": {"good:1", "does not match expected size", false, func(w http.ResponseWriter, b []byte) { _, _ = w.Write(append(b, 0)) }},
		"a missing layer":   {"good:1", "the registry does not have " + at + "good:1", true, func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusNotFound) }},
		"breaks off": {"good:1", "pull " + at + "good:1: unexpected EOF; check the registry's name and the network", false, func(w http.ResponseWriter, b []byte) {
			w.Header().Set("Content-Length", strconv.Itoa(len(b)))
			_, _ = w.Write(b[:len(b)/2])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			alter = c.alter
			opts := testOptions(t)
			_, err := Resolve(t.Context(), "oci:"+at+c.image, opts)
			var request *kernels.SpecError
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &request) != c.request {
				t.Errorf("got %v, want %q (a request: %t)", err, c.want, c.request)
			}
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("got %v left behind, want none", left)
			}
		})
	}
}
