package images

import (
	"path/filepath"

	"github.com/faultline/faultline/internal/cache"
)

// Image is a file in the cache, protected from pruning until Close. It must never
// be written: a guest maps it privately (QEMU's memory-backend-file,
// share=off) or gets its own copy (CopySparse).
type Image struct {
	// Path is the path of the file.
	Path string
	// Key identifies its inputs: equal keys mean equal bytes.
	Key string
	// Built reports whether this call made it.
	Built bool
	entry *cache.Entry
}

// Close allows the image to be pruned.
func (i *Image) Close() error {
	if i == nil {
		return nil
	}
	return i.entry.Close()
}

func newImage(e *cache.Entry, key, name string) *Image {
	return &Image{Path: filepath.Join(e.Path, name), Key: key, Built: e.Built, entry: e}
}
