package rpm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sassoftware/go-rpmutils"
	"github.com/sassoftware/go-rpmutils/cpio"
	"github.com/ulikunitz/xz/lzma"

	"github.com/faultline/faultline/kernels/archive"
)

// payload reads the files of a package, as items of an archive. The library's own reader
// allows a package to claim any amount of memory, and takes files that are not in the package
// for the content of others.
type payload struct {
	files   []rpmutils.FileInfo
	byName  map[string]int
	content map[uint64]int   // by inode: which of a file's names has its content, the last one
	names   map[uint64][]int // by inode: its other names
	links   []archive.Item   // those of a file that was passed on
	cpio    *cpio.Reader
	current io.Reader // of the content; nil before the first file
	entries int       // that were read
	total   int64     // bytes, also of files that are skipped, which have to be decompressed
}

// openPayload opens the files of a package, whose header was read from f. done must be
// called at the end.
func openPayload(f *os.File, header *rpmutils.RpmHeader) (p *payload, done func(), err error) {
	if err := checkNames(header); err != nil {
		return nil, nil, err
	}
	p = &payload{byName: map[string]int{}, content: map[uint64]int{}, names: map[uint64][]int{}}
	if p.files, err = header.GetFiles(); err != nil {
		return nil, nil, err
	}
	sizes := make([]int64, len(p.files))
	for i, f := range p.files {
		p.byName[f.Name()] = i
		switch m := mode(f.Mode()); {
		case m.IsRegular() && f.Flags()&rpmutils.RPMFILE_GHOST == 0:
			sizes[i] = f.Size()
			if before, ok := p.content[inode(f)]; ok && f.Inode() != 0 {
				sizes[before] = 0
			}
			p.content[inode(f)] = i
		case m&os.ModeSymlink != 0:
			sizes[i] = int64(len(f.Linkname()))
		}
	}
	plain, done, err := decompress(f, header)
	if err != nil {
		return nil, nil, err
	}
	p.cpio = cpio.NewReaderWithSizes(names{archive.Bound(plain)}, sizes)
	return p, done, nil
}

// inode identifies a file that has more than one name.
func inode(f rpmutils.FileInfo) uint64 {
	return uint64(uint32(f.Device()))<<32 | uint64(uint32(f.Inode()))
}

// checkNames bounds the paths of files, which the library joins from folders and names: many
// files can be in one folder of a long name.
func checkNames(header *rpmutils.RpmHeader) error {
	if header.HasTag(rpmutils.OLDFILENAMES) {
		return nil // as long as the header
	}
	folders, err := header.GetStrings(rpmutils.DIRNAMES)
	if errors.As(err, &rpmutils.NoSuchTagError{}) {
		return nil // no files
	}
	if err != nil {
		return err
	}
	indexes, err := header.GetUint32s(rpmutils.DIRINDEXES)
	if err != nil {
		return err
	}
	total := 0
	for _, i := range indexes {
		if total += len(folders[i]); total > mostHeader {
			return fmt.Errorf("its files have paths of more than %d bytes", mostHeader)
		}
	}
	return nil
}

// decompress returns the cpio archive of a package.
func decompress(f *os.File, header *rpmutils.RpmHeader) (plain io.Reader, done func(), err error) {
	if format, err := header.GetString(rpmutils.PAYLOADFORMAT); err == nil && format != "cpio" {
		return nil, nil, fmt.Errorf("its files are in an archive of the unknown form %q", format)
	}
	// The only one that cannot be recognised by its first bytes.
	if with, err := header.GetString(rpmutils.PAYLOADCOMPRESSOR); err == nil && with == "lzma" {
		plain, err := lzma.ReaderConfig{DictCap: mostDictionary}.NewReader(bufio.NewReader(f))
		return plain, func() {}, err
	}
	return archive.Decompress(f)
}

// mostDictionary bounds the memory for LZMA, in bytes, as archive.Decompress does for others.
const mostDictionary = 64 << 20

// names refuses to read an endless name: the library reads each name at once, and nothing
// else of this size.
type names struct{ io.Reader }

func (n names) Read(p []byte) (int, error) {
	if len(p) > mostName {
		return 0, fmt.Errorf("it has a file with a name of %d bytes", len(p))
	}
	return n.Reader.Read(p)
}

// mostName bounds a name, in bytes. Contents are read in smaller parts.
const mostName = 1 << 20

// next returns the next item: archive.Next. Of the names of a file, only the last one has the
// content; the others follow it, as hard links.
func (p *payload) next() (archive.Item, io.Reader, error) {
	for {
		if len(p.links) > 0 {
			item := p.links[0]
			p.links = p.links[1:]
			return item, nil, nil
		}
		if p.current != nil { // the library would read what is skipped into memory
			if _, err := io.Copy(io.Discard, p.current); err != nil {
				return archive.Item{}, nil, err
			}
		}
		h, err := p.cpio.Next()
		if errors.Is(err, io.EOF) && len(p.names) > 0 {
			err = errors.New("it has a file with several names, and no content")
		}
		if p.entries++; err == nil && p.entries > len(p.files) {
			err = fmt.Errorf("it has more than its %d files", len(p.files))
		}
		if err != nil {
			return archive.Item{}, nil, err
		}
		p.current = p.cpio
		i, err := p.index(h)
		if err != nil {
			return archive.Item{}, nil, err
		}
		f := p.files[i]
		if p.total += max(f.Size(), 0); p.total > archive.MostBytes {
			return archive.Item{}, nil, archive.TooLarge()
		}
		item := archive.Item{Name: f.Name(), Mode: mode(f.Mode()), Size: f.Size(), Link: f.Linkname()}
		if !item.Mode.IsRegular() || f.Inode() == 0 {
			return item, p.current, nil
		}
		if last, ok := p.content[inode(f)]; ok && last != i {
			p.names[inode(f)] = append(p.names[inode(f)], i)
			continue
		}
		for _, other := range p.names[inode(f)] {
			p.links = append(p.links, archive.Item{Name: p.files[other].Name(), Link: f.Name(), Hard: true})
		}
		delete(p.names, inode(f))
		return item, p.current, nil
	}
}

// index returns the file of an entry.
func (p *payload) index(h *cpio.Cpio_newc_header) (int, error) {
	if h.IsStripped() {
		return h.Index(), nil // checked by the library
	}
	name := h.Filename()
	if strings.HasPrefix(name, "./") {
		name = name[1:]
	}
	i, ok := p.byName[name]
	if !ok {
		return 0, fmt.Errorf("it has the file %q, which its header does not list", name)
	}
	return i, nil
}
