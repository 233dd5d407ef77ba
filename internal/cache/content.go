package cache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/bounded"
)

// Check holds the content of the entry's files against what it was when the entry
// was built: a disk, or who writes past the file's times, may have changed it
// without a trace. Where it was changed, the entry is made anew at its next use.
func (e *Entry) Check() error {
	data, err := bounded.ReadFile(filepath.Join(e.Path, manifestName), maxManifest)
	if err != nil {
		return err
	}
	var want manifest
	if err := json.Unmarshal(data, &want); err != nil {
		return err
	}
	for name, w := range want {
		if w.Sum == "" { // an entry of an earlier version
			continue
		}
		sum, err := content(filepath.Join(e.Path, name))
		if err == nil && sum != w.Sum {
			err = fmt.Errorf("the content of %s is no more what it was", name)
		}
		if err != nil {
			return errors.Join(err, os.Remove(filepath.Join(e.Path, manifestName)))
		}
	}
	return nil
}

// sums adds the digests of the files' content.
func (m manifest) sums(dir string) error {
	for name, state := range m {
		sum, err := content(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		state.Sum = sum
		m[name] = state
	}
	return nil
}

// block is a piece of a file that counts as a whole.
const block = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // the one that processors have an instruction for

// content is a digest of what is in a file: of its blocks that are not zero, and
// of their places, so that a sparse file costs no more than what is in it.
func content(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var sum uint32
	var zero [block]byte
	buf := make([]byte, 256*block)
	for at := int64(0); ; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // no more of it
			return fmt.Sprintf("%08x", sum), nil
		}
		if err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		at = data - data%block
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		for rest := buf[:n]; len(rest) > 0; {
			b := rest[:min(len(rest), block)]
			if !bytes.Equal(b, zero[:len(b)]) {
				sum = crc32.Update(sum, castagnoli, binary.LittleEndian.AppendUint64(nil, uint64(at)))
				sum = crc32.Update(sum, castagnoli, b)
			}
			rest, at = rest[len(b):], at+int64(len(b))
		}
	}
}
