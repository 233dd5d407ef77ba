package debian

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/kernels"
)

// maxPackage bounds the size of a package in bytes. A package of kernel debug information
// has some 1 GiB.
const maxPackage = 8 << 30

// members returns the members of a package by name, without the endings of compressed
// ones: debian-binary, control.tar and data.tar. A file that is no package or is truncated is
// an error of the request.
func members(file string, f *os.File) (map[string]*io.SectionReader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPackage {
		return nil, &kernels.SpecError{
			Problem: (&limitread.Error{Path: file, Most: maxPackage}).Error(),
			Hint:    "give a package of a kernel",
		}
	}
	list, err := listAr(f, info.Size())
	if errors.Is(err, errTruncated) {
		return nil, &kernels.SpecError{Problem: file, Err: err, Hint: "download the package again"}
	}
	if err == nil && (len(list) == 0 || list[0].name != "debian-binary") {
		err = errNotDeb
	}
	if err != nil {
		return nil, &kernels.SpecError{Problem: file, Err: err, Hint: "check where it comes from, and get it again"}
	}
	found := map[string]*io.SectionReader{}
	for _, m := range list {
		name := m.name
		for _, tar := range []string{control, data} {
			if strings.HasPrefix(name, tar+".") {
				name = tar
			}
		}
		if found[name] == nil {
			found[name] = io.NewSectionReader(f, m.offset, m.size)
		}
	}
	for _, name := range []string{control, data} {
		if found[name] == nil {
			return nil, &kernels.SpecError{
				Problem: file,
				Err:     fmt.Errorf("%w: no %s", errTruncated, name),
				Hint:    "download the package again",
			}
		}
	}
	return found, nil
}

// The members with the package's description, and with its files.
const (
	control = "control.tar"
	data    = "data.tar"
)

var (
	errNotDeb    = errors.New("not a Debian package")
	errTruncated = errors.New("the package is truncated")
)

// mostMembers bounds the members of a package, which has three, and a signature.
const mostMembers = 16

type arMember struct {
	name         string
	offset, size int64 // of the content, in bytes
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
		if len(members) == mostMembers {
			return members, fmt.Errorf("%w: more than %d members", errNotDeb, mostMembers)
		}
		off += headerSize
		members = append(members, arMember{name, off, n})
		if n > size-off {
			return members, fmt.Errorf("%w: %s has %d of %d bytes", errTruncated, name, size-off, n)
		}
		off += n + n&1
	}
	return members, nil
}
