// Package vmlinuz reads kernel images: x86 bzImages (the boot protocol's setup
// header, Documentation/arch/x86/boot.rst) and ELF vmlinux files. It returns a
// kernel's release, extracts the vmlinux from a bzImage and checks whether it can
// be booted through the PVH entry. It writes no files.
package vmlinuz

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz" // not ulikunitz/xz: kernels are filtered for x86 (BCJ), which that one lacks
	"github.com/ulikunitz/xz/lzma"
)

// Image is a parsed kernel image.
type Image struct {
	// Release is its uname -r ("6.1.0-56-amd64").
	Release string
	// Banner is the release and the rest of the banner: who built it, and
	// uname -v ("... #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-11-01)").
	Banner string
	// ELF reports whether it is a vmlinux, not a bzImage.
	ELF bool

	data    []byte
	payload []byte // of a bzImage: the compressed vmlinux
}

var (
	// ErrNotKernel means that the file is neither a bzImage nor an x86-64 ELF vmlinux.
	ErrNotKernel = errors.New("neither a bzImage nor an x86-64 vmlinux")
	// ErrTruncated means that the file is shorter than its header specifies.
	ErrTruncated = errors.New("truncated")
	// ErrCompression means that this package does not support the payload's compression.
	ErrCompression = errors.New("unknown compression of the payload")
)

// Offsets in the setup header (boot.rst, "The Real-Mode Kernel Header").
const (
	offSetupSects    = 0x1f1
	offBootFlag      = 0x1fe
	offMagic         = 0x202
	offProtocol      = 0x206
	offKernelVersion = 0x20e
	offPayloadOffset = 0x248
	offPayloadLength = 0x24c
	headerEnd        = 0x250
	sector           = 512
)

// Parse parses an image's header. The errors wrap ErrNotKernel or ErrTruncated.
// The image refers to data, which must not be changed.
func Parse(data []byte) (*Image, error) {
	if bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return parseELF(data)
	}
	if len(data) < headerEnd || binary.LittleEndian.Uint16(data[offBootFlag:]) != 0xaa55 ||
		string(data[offMagic:offMagic+4]) != "HdrS" {
		return nil, ErrNotKernel
	}
	if p := binary.LittleEndian.Uint16(data[offProtocol:]); p < 0x208 {
		return nil, fmt.Errorf("%w: boot protocol %d.%02d is older than 2.08 (Linux 2.6.26)", ErrNotKernel, p>>8, p&0xff)
	}
	sects := int(data[offSetupSects])
	if sects == 0 {
		sects = 4 // boot.rst: for backwards compatibility
	}
	base := uint64(sects+1) * sector
	start := base + uint64(binary.LittleEndian.Uint32(data[offPayloadOffset:]))
	end := start + uint64(binary.LittleEndian.Uint32(data[offPayloadLength:]))
	if end > uint64(len(data)) {
		return nil, fmt.Errorf("%w: the payload ends at byte %d, the file at %d", ErrTruncated, end, len(data))
	}
	m := &Image{data: data, payload: data[start:end]}
	if v := int(binary.LittleEndian.Uint16(data[offKernelVersion:])); v != 0 && v+sector < len(data) {
		s := data[v+sector:]
		if i := bytes.IndexByte(s[:min(len(s), 1024)], 0); i >= 0 {
			m.Banner = string(s[:i])
		}
	}
	m.Release, _, _ = strings.Cut(m.Banner, " ")
	if !isRelease(m.Release) {
		return nil, fmt.Errorf("%w: no kernel release in the header", ErrNotKernel)
	}
	return m, nil
}

// mostProgs and mostNotes bound the parts of an ELF file that are read. A vmlinux has
// five segments, and notes of some hundred bytes.
const (
	mostProgs = 256
	mostNotes = 1 << 20
)

// openELF reads the headers of an ELF file.
func openELF(data []byte) (*elf.File, error) {
	// If this number is 0, the first section has the real one, which may be millions.
	// Each section uses far more memory than it has bytes in the file.
	var h elf.Header64
	_, err := binary.Decode(data, binary.LittleEndian, &h)
	if err == nil && h.Shnum == 0 && h.Shoff != 0 {
		return nil, errors.New("more sections than a kernel has")
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err == nil && len(f.Progs) > mostProgs {
		return nil, fmt.Errorf("%d segments, more than a kernel has", len(f.Progs))
	}
	return f, err
}

func parseELF(data []byte) (*Image, error) {
	f, err := openELF(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKernel, err)
	}
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("%w: ELF file of type %v for %v", ErrNotKernel, f.Type, f.Machine)
	}
	for _, p := range f.Progs {
		if end := p.Off + p.Filesz; end < p.Off || end > uint64(len(data)) {
			return nil, fmt.Errorf("%w: a segment ends at byte %d, the file at %d", ErrTruncated, end, len(data))
		}
	}
	m := &Image{data: data, ELF: true, Banner: banner(data)}
	m.Release, _, _ = strings.Cut(m.Banner, " ")
	if m.Release == "" {
		return nil, fmt.Errorf("%w: ELF file without a Linux version banner", ErrNotKernel)
	}
	return m, nil
}

// banner finds linux_banner (init/version.c): "Linux version REL (who@where)
// (compiler) #1 SMP ...\n". The text also occurs in format strings, with %s in place of
// the release.
func banner(data []byte) string {
	mark := []byte("Linux version ")
	rest := data
	for range mostMarks {
		i := bytes.Index(rest, mark)
		if i < 0 {
			break
		}
		rest = rest[i+len(mark):]
		line := rest[:min(len(rest), 1024)]
		if j := bytes.IndexAny(line, "\n\x00"); j >= 0 {
			line = line[:j]
		}
		release, _, ok := strings.Cut(string(line), " ")
		if ok && isRelease(release) {
			return string(line)
		}
	}
	return ""
}

// mostMarks bounds the number of occurrences of the banner's prefix that are checked.
const mostMarks = 1000

// isRelease reports whether s can be a kernel release. It becomes the name of a
// directory, and must not lead out of its parent.
func isRelease(s string) bool {
	if s == "" || len(s) > 64 || s[0] < '0' || s[0] > '9' { // __NEW_UTS_LEN is 64
		return false
	}
	for _, r := range s {
		if r <= ' ' || r > '~' || r == '/' || r == '%' {
			return false
		}
	}
	return true
}

// MaxBytes bounds the size of an image, and of its decompressed payload. Debian's vmlinux
// have 60 MB; one with everything built in and run-time checks has less than 200.
const MaxBytes = 256 << 20

// dictMax bounds the dictionary of a payload, in bytes: scripts/xz_wrap.sh uses at most
// 128 MiB, zstd -22 --ultra a window of the same size, lzma -9 64 MiB.
const dictMax = 128 << 20

// compression returns the compression of a bzImage's payload, derived from its first
// bytes: "gzip", "xz", "zstd", "lz4", "bzip2", "lzma", "lzo", or "" if it is none
// of them.
func (m *Image) compression() string {
	for _, c := range []struct{ name, magic string }{
		{"gzip", "\x1f\x8b"},
		{"xz", "\xfd7zXZ\x00"},
		{"zstd", "\x28\xb5\x2f\xfd"},
		{"lz4", "\x02\x21\x4c\x18"},
		{"bzip2", "BZh"},
		{"lzo", "\x89LZO"},
		{"lzma", "\x5d\x00\x00"},
	} {
		if bytes.HasPrefix(m.payload, []byte(c.magic)) {
			return c.name
		}
	}
	return ""
}

// Vmlinux returns the ELF vmlinux: the image itself if it is one, else the
// decompressed payload. The errors wrap ErrCompression, or describe the damage.
func (m *Image) Vmlinux() ([]byte, error) {
	if m.ELF {
		return m.data, nil
	}
	if m.compression() == "" && bytes.HasPrefix(m.payload, []byte(elf.ELFMAG)) {
		return m.payload, nil // CONFIG_KERNEL_UNCOMPRESSED
	}
	// The build appends the size (scripts/Makefile.lib, size_append) to every
	// format but gzip, which has the size in its own last field.
	if len(m.payload) < 4 {
		return nil, fmt.Errorf("%w: the payload has %d bytes", ErrTruncated, len(m.payload))
	}
	body, tail := m.payload[:len(m.payload)-4], m.payload[len(m.payload)-4:]
	size := uint64(binary.LittleEndian.Uint32(tail))
	if size > MaxBytes {
		return nil, fmt.Errorf(
			"decompress the payload: claims %d bytes inside, more than the %d that a kernel can have",
			size,
			MaxBytes,
		)
	}
	var r io.Reader
	var err error
	kind := m.compression()
	switch kind {
	case "gzip":
		var g *gzip.Reader
		if g, err = gzip.NewReader(bytes.NewReader(m.payload)); err == nil {
			g.Multistream(false)
			r = g
		}
	case "xz":
		// ulikunitz/xz does not support the BCJ filter that the kernel's xz_wrap.sh uses.
		r, err = xz.NewReader(bytes.NewReader(body), dictMax)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(dictMax))
		if err == nil {
			defer z.Close()
			r = z
		}
	case "lz4":
		r = lz4.NewReader(bytes.NewReader(body))
	case "bzip2":
		r = bzip2.NewReader(bytes.NewReader(body))
	case "lzma":
		r, err = lzma.ReaderConfig{DictCap: dictMax}.NewReader(bytes.NewReader(body))
	case "":
		return nil, fmt.Errorf("%w: starts with %x", ErrCompression, m.payload[:min(len(m.payload), 8)])
	default:
		return nil, fmt.Errorf("%w: %s", ErrCompression, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress the payload (%s): %w", kind, err)
	}
	out := make([]byte, size) // the OS allocates its pages on the first write
	n, err := io.ReadFull(r, out)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decompress the payload (%s): %d bytes inside, want %d", kind, n, size)
	}
	if err == nil {
		switch _, err = io.ReadFull(r, make([]byte, 1)); {
		case errors.Is(err, io.EOF):
			err = nil
		case err == nil:
			err = fmt.Errorf("more than the %d bytes that it claims", size)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("decompress the payload (%s): %w", kind, err)
	}
	if !bytes.HasPrefix(out, []byte(elf.ELFMAG)) {
		return nil, fmt.Errorf("decompress the payload (%s): not an ELF file", kind)
	}
	return out, nil
}

// notePhys32Entry is XEN_ELFNOTE_PHYS32_ENTRY (include/xen/interface/elfnote.h).
const notePhys32Entry = 18

// PVH reports whether an ELF vmlinux has the note by which QEMU's -kernel finds its
// 32-bit entry, so that it boots without a bzImage's decompressor.
func PVH(vmlinux []byte) (bool, error) {
	f, err := openELF(vmlinux)
	if err != nil {
		return false, fmt.Errorf("look for the PVH note: %w", err)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Off > uint64(len(vmlinux)) || p.Filesz > min(mostNotes, uint64(len(vmlinux))-p.Off) {
			continue
		}
		if hasNote(vmlinux[p.Off:p.Off+p.Filesz], f.ByteOrder) {
			return true, nil
		}
	}
	return false, nil
}

// hasNote searches notes: sizes of name and content, type, name, content, each
// padded to four bytes.
func hasNote(b []byte, order binary.ByteOrder) bool {
	for len(b) >= 12 {
		nameSize, descSize := uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		kind := order.Uint32(b[8:])
		name, desc := 12+nameSize, 12+(nameSize+3)&^3
		next := desc + (descSize+3)&^3
		if name > uint64(len(b)) {
			return false
		}
		if kind == notePhys32Entry && string(b[12:name]) == "Xen\x00" {
			return true
		}
		if next > uint64(len(b)) {
			return false
		}
		b = b[next:]
	}
	return false
}

// Config returns the configuration that CONFIG_IKCONFIG embeds in a vmlinux
// (kernel/configs.c: gzip between two markers), or nil.
func Config(vmlinux []byte) []byte {
	_, rest, ok := bytes.Cut(vmlinux, []byte("IKCFG_ST"))
	if !ok {
		return nil
	}
	g, err := gzip.NewReader(bytes.NewReader(rest))
	if err != nil {
		return nil
	}
	g.Multistream(false)
	out, err := io.ReadAll(io.LimitReader(g, 4<<20))
	if err != nil {
		return nil
	}
	return out
}
