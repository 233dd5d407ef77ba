package images

import (
	"path/filepath"

	"github.com/faultline/faultline/internal/cache"
)

// Image is a file in the cache, held against pruning until Close. It must never
// be written: a guest maps it privately (QEMU's memory-backend-file,
// share=off) or gets a copy of its own (CopySparse).
type Image struct {
	// Path is the file.
	Path string
	// Key names what went into it: equal keys, equal bytes.
	Key string
	// Built says whether this call made it.
	Built bool
	entry *cache.Entry
}

// Close lets the image be pruned.
func (i *Image) Close() error {
	if i == nil {
		return nil
	}
	return i.entry.Close()
}

func newImage(e *cache.Entry, key, name string) *Image {
	return &Image{Path: filepath.Join(e.Path, name), Key: key, Built: e.Built, entry: e}
}
