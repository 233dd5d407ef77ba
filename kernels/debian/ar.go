package deb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
)

// maxPackage bounds the size of a package in bytes. A package of kernel debug information
// has some 1 GiB.
const maxPackage = 8 << 30

// checkFile checks for a missing or truncated file, or one that is not a package, to
// return clearer errors than dpkg-deb's.
func checkFile(file string) error {
	f, err := os.Open(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return &kernels.SpecError{
				Problem: "cannot open the package",
				Err:     err,
				Hint:    "give the path of a readable .deb file",
			}
		}
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return &kernels.SpecError{Problem: file + " is a folder", Hint: "write dir:" + file + ", or give .deb files"}
	}
	if info.Size() > maxPackage {
		return &kernels.SpecError{
			Problem: (&limitread.Error{Path: file, Most: maxPackage}).Error(),
			Hint:    "give a package of a kernel",
		}
	}
	members, err := listAr(f, info.Size())
	if errors.Is(err, errTruncated) {
		return &kernels.SpecError{Problem: file, Err: err, Hint: "download the package again"}
	}
	if err == nil && (len(members) == 0 || members[0].name != "debian-binary") {
		err = errNotDeb
	}
	if err != nil {
		return &kernels.SpecError{Problem: file, Err: err, Hint: "give a Debian package"}
	}
	for _, prefix := range []string{"control.tar", "data.tar"} {
		if !hasMember(members, prefix) {
			return &kernels.SpecError{
				Problem: file,
				Err:     fmt.Errorf("%w: no %s", errTruncated, prefix),
				Hint:    "download the package again",
			}
		}
	}
	return nil
}

func hasMember(members []arMember, prefix string) bool {
	for _, m := range members {
		if m.name == prefix || strings.HasPrefix(m.name, prefix+".") {
			return true
		}
	}
	return false
}

var (
	errNotDeb    = errors.New("not a Debian package")
	errTruncated = errors.New("the package is truncated")
)

type arMember struct {
	name string
	size int64 // bytes
}

// listAr reads the headers of an ar archive (deb(5)): after the magic, for each
// member 60 bytes of text (name 16, times and ids 32, size 10, end 2), then the
// content, padded to an even offset.
func listAr(r io.ReaderAt, size int64) ([]arMember, error) {
	const magic, headerSize = "!<arch>\n", 60
	head := make([]byte, len(magic))
	if n, _ := r.ReadAt(head, 0); n < len(magic) || string(head) != magic {
		if n > 0 && n < len(magic) && strings.HasPrefix(magic, string(head[:n])) {
			return nil, fmt.Errorf("%w: only %d bytes", errTruncated, size)
		}
		return nil, errNotDeb
	}
	var members []arMember
	for off := int64(len(magic)); off < size; {
		h := make([]byte, headerSize)
		if n, err := r.ReadAt(h, off); n < headerSize {
			if err != nil && err != io.EOF {
				return nil, err
			}
			return members, fmt.Errorf("%w: ends within a header at byte %d", errTruncated, off)
		}
		name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
		n, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		if string(h[58:]) != "`\n" || err != nil || n < 0 {
			return members, fmt.Errorf("%w: bad header at byte %d", errNotDeb, off)
		}
		members = append(members, arMember{name, n})
		off += headerSize
		if n > size-off {
			return members, fmt.Errorf("%w: %s has %d of %d bytes", errTruncated, name, size-off, n)
		}
		off += n + n&1
	}
	return members, nil
}
