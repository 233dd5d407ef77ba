package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Check compares the content of the entry's files with the CRC-32C of the build: a
// disk may have corrupted it without a change of size or time. If the content differs,
// the entry is rebuilt at its next use. Check detects accidents only: a deliberate
// write changes a file's time, which only the owner can set back. The error names the
// first file that differs.
func (e *Entry) Check() error {
	want, err := readManifest(e.Path)
	if err != nil {
		return err
	}
	for name, w := range want {
		if w.CRC32C == "" { // an entry of an earlier version
			continue
		}
		sum := crc32.New(castagnoli)
		err := content(filepath.Join(e.Path, name), sum)
		if err == nil && w.CRC32C != hexSum(sum) {
			err = fmt.Errorf("checksum mismatch in %s", name)
		}
		if err != nil {
			return errors.Join(err, os.Remove(filepath.Join(e.Path, manifestName)))
		}
	}
	return nil
}

// sums adds the checksums of the content of the files.
func (m manifest) sums(dir string) error {
	for name, state := range m {
		crc, sha := crc32.New(castagnoli), sha256.New()
		if err := content(filepath.Join(dir, name), io.MultiWriter(crc, sha)); err != nil {
			return err
		}
		state.CRC32C, state.SHA256 = hexSum(crc), hexSum(sha)
		m[name] = state
	}
	return nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// block is the granularity, in bytes, at which content looks for zeros.
const block = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // CPUs have an instruction for it

// content writes the blocks of a file that are not zero, each preceded by its offset:
// a sparse file costs only its data, and a hole equals zeros that were written.
func content(path string, to io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var zero [block]byte
	var place [8]byte
	buf := make([]byte, 256*block)
	for at := int64(0); ; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // no data follows
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		at = data - data%block
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			b := rest[:min(len(rest), block)]
			if !bytes.Equal(b, zero[:len(b)]) {
				binary.LittleEndian.PutUint64(place[:], uint64(at))
				for _, part := range [][]byte{place[:], b} {
					if _, err := to.Write(part); err != nil {
						return err
					}
				}
			}
			rest, at = rest[len(b):], at+int64(len(b))
		}
	}
}
