// Package rpm gets kernels from files of rpm packages, as Red Hat's, Oracle's and SUSE's
// builds and make binrpm-pkg make them: rpm:FILE|URL[,...]. Package archive finds the
// kernel among the contents. The packages' signatures are not checked: a file that the user
// gives is trusted as one in a directory is.
package rpm

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sassoftware/go-rpmutils"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

const (
	form    = "rpm:FILE|URL[,...]"
	machine = "x86_64"
	intact  = "give an intact rpm package of a kernel"
)

// Source returns the source for rpm:FILE|URL[,...].
func Source() kernels.Source {
	return kernels.Source{
		Scheme:  "rpm",
		Usage:   []string{form},
		About:   "the rpm packages of one kernel, image and modules",
		Check:   func(r kernels.Request) error { return archive.CheckFiles(r.Arg, form) },
		Resolve: resolve,
		Suggest: func(text string) string {
			if info, err := os.Stat(text); err == nil && info.Mode().IsRegular() && strings.HasSuffix(text, ".rpm") {
				return "for a package file write rpm:" + text
			}
			return ""
		},
	}
}

func resolve(ctx context.Context, r kernels.Request, opts kernels.Options) (*kernels.Kernel, error) {
	files, err := archive.Open(ctx, "rpm", "rpm package", strings.Split(r.Arg, ","), opts)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	k, err := kernels.Unpack(ctx, opts, files.Parts, func(ctx context.Context, dir string) ([]kernels.Package, error) {
		packages := make([]kernels.Package, len(files.Paths))
		var reads []func(func(archive.Next) error) error
		for i, file := range files.Paths {
			reads = append(reads, func(write func(archive.Next) error) (err error) {
				packages[i], err = read(file, opts, write)
				return err
			})
		}
		err := archive.Unpack(ctx, dir, opts, reads...)
		return packages, files.Check(err)
	})
	if err != nil {
		return nil, err
	}
	k.Name = files.Label(k.Release)
	return k, nil
}

// read passes on the items of a package, and returns its name and version.
func read(file string, opts kernels.Options, write func(archive.Next) error) (p kernels.Package, err error) {
	defer func() { // the library panics on some damaged packages
		if wrong := recover(); wrong != nil {
			err = archive.Damaged(file, fmt.Errorf("the package is damaged: %v", wrong), intact)
		}
	}()
	f, err := os.Open(file)
	if err != nil {
		return p, err
	}
	defer f.Close()
	if magic := make([]byte, len(lead)); !readsAt(f, magic) || string(magic) != lead {
		return p, &kernels.SpecError{
			Problem: file + " is not an rpm package",
			Hint:    "check where it comes from, and get it again",
		}
	}
	if err := checkHeaders(f); err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	// Its digests; packages of rpm before 4.14 may have none of the payload.
	_, _, err = rpmutils.Verify(bufio.NewReaderSize(f, 1<<20), nil)
	if err != nil && !strings.Contains(err.Error(), "no usable payload digest") {
		return p, archive.Damaged(file, err, intact)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return p, err
	}
	header, err := rpmutils.ReadHeader(f)
	if err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	nevra, err := header.GetNEVRA()
	if err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	if !IsArch(nevra.Arch) && nevra.Arch != "noarch" {
		return p, &kernels.SpecError{
			Problem: fmt.Sprintf("%s is for %s", file, nevra.Arch),
			Hint:    "give a package for " + machine,
		}
	}
	p = kernels.Package{Name: nevra.Name, Version: nevra.Version + "-" + nevra.Release}
	opts.Logf("unpack %s %s", p.Name, p.Version)
	payload, done, err := openPayload(f, header)
	if err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	defer done()
	return p, archive.Damaged(file, write(payload.next), intact)
}

// lead begins an rpm package (the magic of its lead).
const lead = "\xed\xab\xee\xdb"

// readsAt reads the beginning of a file.
func readsAt(f *os.File, p []byte) bool {
	n, _ := f.ReadAt(p, 0)
	return n == len(p)
}

// Bounds of a header: bytes, tags, and values of a tag, such as the names of files. Those of
// kernels with their modules have some MiB, 100 tags and 10,000 files.
const (
	mostHeader = 32 << 20
	mostTags   = 1 << 12
	mostValues = 1 << 18
)

// A header begins with a magic, the number of its tags, and the size of their values, all big
// endian. The tags follow (number, type, offset, count), then their values.
const (
	leadBytes  = 96
	introBytes = 16
	tagBytes   = 16
)

// checkHeaders checks the two headers after the lead, which the library reads into memory: the
// values of each tag are apart, and have at least a byte each.
func checkHeaders(f *os.File) error {
	at := int64(leadBytes)
	for range 2 {
		intro := make([]byte, introBytes)
		if _, err := f.ReadAt(intro, at); err != nil {
			return io.ErrUnexpectedEOF
		}
		tags, size := int64(binary.BigEndian.Uint32(intro[8:])), int64(binary.BigEndian.Uint32(intro[12:]))
		if size > mostHeader || tags > mostTags {
			return fmt.Errorf("its header claims %d tags and %d bytes", tags, size)
		}
		list := make([]byte, tags*tagBytes)
		if _, err := f.ReadAt(list, at+introBytes); err != nil {
			return io.ErrUnexpectedEOF
		}
		total := int64(0)
		for tag := range slices.Chunk(list, tagBytes) {
			kind, count := binary.BigEndian.Uint32(tag[4:]), int64(binary.BigEndian.Uint32(tag[12:]))
			total += count
			if kind != rpmutils.RPM_BIN_TYPE && count > mostValues || total > size {
				return fmt.Errorf("its header claims %d values of a tag", count)
			}
		}
		at += introBytes + tags*tagBytes + (size+7)/8*8 // only the first header is padded, the second is the last
	}
	return nil
}

// mode returns the kind of a file from its mode in a package (stat(2)).
func mode(m int) fs.FileMode {
	switch m & 0o170000 {
	case 0o100000:
		return 0o644
	case 0o040000:
		return fs.ModeDir
	case 0o120000:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}

// IsArch reports whether a package is for guests: x86_64, or a variant of it for newer
// processors, whose kernels are no different (AlmaLinux has x86_64_v2).
func IsArch(name string) bool {
	variant, ok := strings.CutPrefix(name, machine)
	return ok && slices.Contains([]string{"", "_v2", "_v3", "_v4"}, variant)
}
