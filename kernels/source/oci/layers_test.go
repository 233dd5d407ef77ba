package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

// image returns an image of layers, the lowest first, with empty files of these names; a
// folder ends with a slash.
func image(t *testing.T, layers ...[]string) v1.Image {
	t.Helper()
	all := v1.Image(empty.Image)
	for i, names := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, name := range names {
			h := tar.Header{Name: name, Typeflag: tar.TypeReg, Uname: fmt.Sprint(i)}
			if strings.HasSuffix(name, "/") {
				h.Typeflag = tar.TypeDir
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		if all, err = mutate.AppendLayers(all, static.NewLayer(b.Bytes(), types.OCIUncompressedLayer)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// names reads the names of an image's files.
func names(t *testing.T, image v1.Image) (all []string, err error) {
	t.Helper()
	err = files(t.Context(), image, kernels.Options{}, func(next archive.Next) error {
		for {
			item, _, err := next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			all = append(all, item.Name)
		}
	})
	return all, err
}

// Upper layers replace and remove what lower ones have.
func TestLayers(t *testing.T) {
	for name, c := range map[string]struct {
		layers [][]string // the lowest first
		want   []string   // the uppermost first
	}{
		"one":                  {[][]string{{"boot/", "boot/a"}}, []string{"boot/", "boot/a"}},
		"replaced":             {[][]string{{"boot/a", "boot/b"}, {"./boot/a"}}, []string{"./boot/a", "boot/b"}},
		"removed":              {[][]string{{"boot/a", "boot/b"}, {"boot/.wh.a"}}, []string{"boot/b"}},
		"a folder is removed":  {[][]string{{"lib/", "lib/modules/1/a", "lib/b"}, {"lib/.wh.modules"}}, []string{"lib/", "lib/b"}},
		"removed, and new":     {[][]string{{"boot/a"}, {"boot/.wh.a"}, {"boot/a"}}, []string{"boot/a"}},
		"opaque":               {[][]string{{"boot/", "boot/a", "lib/modules/b"}, {"boot/c", "boot/.wh..wh..opq", "boot/b"}}, []string{"boot/c", "boot/b", "boot/", "lib/modules/b"}},
		"all is opaque":        {[][]string{{"boot/a"}, {".wh..wh..opq", "vmlinuz"}}, []string{"vmlinuz"}},
		"a link for a folder":  {[][]string{{"lib/modules/a"}, {"lib"}}, []string{"lib"}},
		"others are passed on": {[][]string{{"usr/share/a"}, {"usr/share/a"}}, []string{"usr/share/a", "usr/share/a"}},
		"within a layer":       {[][]string{{"boot/a", "boot/.wh.a"}}, []string{"boot/a"}},
	} {
		got, err := names(t, image(t, c.layers...))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, error %v; want %v", name, got, err, c.want)
		}
	}
}

// What is kept of an image in memory is bounded.
func TestLayersHostile(t *testing.T) {
	h := &hidden{}
	var err error
	for i := 0; err == nil && i < 2*mostHidden; i++ {
		err = h.hide(&h.files, fmt.Sprint(i))
	}
	if err == nil || !strings.Contains(err.Error(), "replace or remove more than 100000 files") || h.names != mostHidden+1 {
		t.Errorf("got %d names, error %v; want an error after %d", h.names, err, mostHidden)
	}
	h, err = &hidden{}, nil
	for i := 0; err == nil && i < 100; i++ {
		err = h.hide(&h.folders, fmt.Sprint(i)+strings.Repeat("x", 1<<20))
	}
	if err == nil || h.names != 64 {
		t.Errorf("got %d names, error %v; want an error after 64 MiB", h.names, err)
	}
	if _, err := names(t, image(t, make([][]string, mostLayers+1)...)); err == nil || !strings.Contains(err.Error(), "it has 1001 layers") {
		t.Errorf("got %v, want an error about 1001 layers", err)
	}
}
