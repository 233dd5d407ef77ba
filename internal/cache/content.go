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

// Check compares the content of the entry's files with what it was when the entry was
// built, by CRC-32C: a disk may have changed it, and neither size nor time shows that.
// Where it was changed, the entry is built again at its next use. Who writes to a
// file on purpose changes its time, and only its owner can set that back; see renew.
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
			err = fmt.Errorf("the content of %s is no more what it was", name)
		}
		if err != nil {
			return errors.Join(err, os.Remove(filepath.Join(e.Path, manifestName)))
		}
	}
	return nil
}

// sums adds the checksums of the files' content.
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

// block is a piece of a file that counts as a whole.
const block = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // the one that processors have an instruction for

// content writes what is in a file: its blocks that are not zero, each after its
// place, so that a sparse file costs no more than what is in it, and is the same as
// one whose zeros were written.
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
		if errors.Is(err, unix.ENXIO) { // no more of it
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
