package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/dustin/go-humanize"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

// Bounds of an image: its layers, the bytes of one, and what upper layers hide in lower ones.
// The library's mutate.Extract keeps the names of all files, which need not fit into memory.
const (
	mostLayers = 1000
	mostLayer  = 8 << 30
	mostHidden = 100_000
	mostNames  = 64 << 20 // bytes
)

// A name that begins with whiteout removes a file of the layers below, and the name opaque the
// whole content of its folder (OCI image specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = whiteout + whiteout + ".opq"
)

// files passes on the files of an image. Upper layers come first: what they replace or remove
// is left out of lower ones. The library checks the digest of each layer.
func files(ctx context.Context, image v1.Image, opts kernels.Options, write func(archive.Next) error) error {
	layers, err := image.Layers()
	if err != nil {
		return &pullError{err}
	}
	if len(layers) > mostLayers {
		return &kernels.SpecError{
			Problem: fmt.Sprintf("it has %d layers", len(layers)), Hint: "give an image with a kernel",
		}
	}
	upper := &hidden{}
	for i := len(layers) - 1; i >= 0; i-- {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if size, err := layers[i].Size(); err == nil {
			opts.Logf("pull layer %d of %d (%s)", len(layers)-i, len(layers), humanize.Bytes(uint64(max(size, 0))))
		}
		this := &hidden{names: upper.names, bytes: upper.bytes}
		if err := layer(layers[i], func(next archive.Next) error { return write(merge(next, upper, this)) }); err != nil {
			return err
		}
		upper.add(this)
	}
	return nil
}

// layer passes on the files of a layer. All of it is read, also what no one needs: its digest
// is checked at the end.
func layer(l v1.Layer, write func(archive.Next) error) error {
	packed, err := l.Compressed()
	if err != nil {
		return &pullError{err}
	}
	defer packed.Close()
	from := &registryReader{r: packed, left: mostLayer}
	err = archive.Tar(from, write)
	if err == nil {
		_, err = io.Copy(io.Discard, from)
	}
	if from.err != nil {
		return from.err
	}
	return err
}

// pullError is an error of the registry or the network, not of the image.
type pullError struct{ error }

func (e *pullError) Unwrap() error { return e.error }

// registryReader remembers why it failed, which a decompressor may not return.
type registryReader struct {
	r    io.Reader
	left int64 // bytes
	err  error
}

func (r *registryReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.left -= int64(n); r.left < 0 {
		err = &kernels.SpecError{
			Problem: "it has a layer of more than " + humanize.IBytes(mostLayer), Hint: "give an image with a kernel",
		}
	}
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case r.left < 0, strings.HasPrefix(err.Error(), "error verifying"): // the library does not export its type
		r.err = err
	default:
		r.err = &pullError{err}
	}
	return n, r.err
}

// hidden is what layers hide in those below.
type hidden struct {
	files   map[string]bool // that they have or remove
	folders map[string]bool // whose content they remove
	names   int             // with those of the layers above
	bytes   int             // of the names
}

// hide adds a file, or the content of a folder.
func (h *hidden) hide(to *map[string]bool, name string) error {
	if *to == nil {
		*to = map[string]bool{}
	}
	if (*to)[name] {
		return nil
	}
	(*to)[name] = true
	h.names, h.bytes = h.names+1, h.bytes+len(name)
	if h.names > mostHidden || h.bytes > mostNames {
		return &kernels.SpecError{
			Problem: fmt.Sprintf("its layers replace or remove more than %d files", mostHidden),
			Hint:    "give an image with a kernel",
		}
	}
	return nil
}

// has reports whether a file is hidden: itself, or with a folder above it.
func (h *hidden) has(name string) bool {
	for dir := name; dir != ""; {
		if h.files[dir] {
			return true
		}
		i := strings.LastIndexByte(dir, '/')
		dir = dir[:max(i, 0)]
		if h.folders[dir] {
			return true
		}
	}
	return false
}

// add adds what a layer hides.
func (h *hidden) add(layer *hidden) {
	for _, m := range []struct{ to, from *map[string]bool }{{&h.files, &layer.files}, {&h.folders, &layer.folders}} {
		if *m.to == nil {
			*m.to = *m.from
			continue
		}
		for name := range *m.from {
			(*m.to)[name] = true
		}
	}
	h.names, h.bytes = layer.names, layer.bytes
}

// merge leaves out what upper layers hide, and adds to this what the layer hides itself. Of
// files that are no kernel's, the first one of a name counts: that is the upper one.
func merge(next archive.Next, upper, this *hidden) archive.Next {
	return func() (archive.Item, io.Reader, error) {
		for {
			item, content, err := next()
			if err != nil {
				return item, content, err
			}
			name := strings.TrimPrefix(path.Clean("/"+item.Name), "/")
			dir, base := path.Split(name)
			removed, isWhiteout := strings.CutPrefix(base, whiteout)
			switch {
			case base == opaque:
				err = this.hide(&this.folders, strings.TrimSuffix(dir, "/"))
			case isWhiteout:
				err = this.hide(&this.files, dir+removed)
			case upper.has(name):
			case item.Mode.IsDir() || !archive.Wanted(name):
				return item, content, nil
			default:
				if err = this.hide(&this.files, name); err == nil {
					return item, content, nil
				}
			}
			if err != nil {
				return archive.Item{}, nil, err
			}
		}
	}
}
