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
	pkg, err := rpmutils.ReadRpm(f)
	if err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	nevra, err := pkg.Header.GetNEVRA()
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
	payload, err := pkg.PayloadReaderExtended()
	if err != nil {
		return p, archive.Damaged(file, err, intact)
	}
	bounded := archive.Bound(payload)
	// Of the names of a file, only the last one has the content.
	names, links := map[int][]string{}, []archive.Item{}
	begun := false
	total := int64(0) // also of files that are skipped, which have to be decompressed
	err = write(func() (archive.Item, io.Reader, error) {
		if len(links) > 0 {
			next := links[0]
			links = links[1:]
			return next, nil, nil
		}
		for {
			// The library would read what is skipped into memory.
			if begun {
				if _, err := io.Copy(io.Discard, bounded); err != nil {
					return archive.Item{}, nil, err
				}
			}
			begun = true
			info, err := payload.Next()
			if err != nil {
				return archive.Item{}, nil, err
			}
			if total += max(info.Size(), 0); total > archive.MostBytes {
				return archive.Item{}, nil, archive.TooLarge()
			}
			if payload.IsLink() {
				names[info.Inode()] = append(names[info.Inode()], info.Name())
				continue
			}
			for _, name := range names[info.Inode()] {
				links = append(links, archive.Item{Name: name, Link: info.Name(), Hard: true})
			}
			delete(names, info.Inode())
			return archive.Item{
				Name: info.Name(), Mode: mode(info.Mode()), Size: info.Size(), Link: info.Linkname(),
			}, bounded, nil
		}
	})
	return p, archive.Damaged(file, err, intact)
}

// lead begins an rpm package (the magic of its lead).
const lead = "\xed\xab\xee\xdb"

// readsAt reads the beginning of a file.
func readsAt(f *os.File, p []byte) bool {
	n, _ := f.ReadAt(p, 0)
	return n == len(p)
}

// mostHeader bounds a header, in bytes. Those of kernels with their modules have some MiB.
const mostHeader = 64 << 20

// checkHeaders checks the sizes of the two headers after the lead, which the library reads
// into memory: each begins with a magic, the number of its entries of 16 bytes, and the
// size of their data.
func checkHeaders(f *os.File) error {
	const leadBytes, intro, entry = 96, 16, 16
	at := int64(leadBytes)
	for range 2 {
		head := make([]byte, intro)
		if _, err := f.ReadAt(head, at); err != nil {
			return io.ErrUnexpectedEOF
		}
		entries, data := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
		size := int64(entries)*entry + int64(data)
		if size > mostHeader {
			return fmt.Errorf("its header claims %d bytes", size)
		}
		at += intro + (size+7)/8*8 // only the first header is padded, the second is the last
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
