package images

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/faultline/faultline/internal/arch"
)

const (
	// pfnInfoOffset is the offset of the info block in a namespace, in bytes
	// (SZ_4K in nd_pfn_init and nd_pfn_validate, drivers/nvdimm/pfn_devs.c).
	pfnInfoOffset = 4096
	// pfnInfoBytes is the info block's size (sizeof(struct nd_pfn_sb)).
	pfnInfoBytes = 4096
	// pmemAlign is the alignment, in bytes, of a device's size and of its data:
	// a PMD, so that DAX can map huge pages, and SUBSECTION_SIZE, the minimum
	// for memory hotplug on x86-64 (memremap_compat_align).
	pmemAlign = 2 << 20
)

const (
	pageBytes       = 1 << arch.PageShiftAMD64 // only amd64 has guests with an NFIT
	pageStructBytes = 64                       // MAX_STRUCT_PAGE_SIZE, drivers/nvdimm/nd.h
	pfnReserved     = 8192                     // SZ_8K in nd_pfn_init: label space and the info block itself
	pfnSignature    = "NVDIMM_PFN_INFO\x00"
)

// pfnMode is the location of a namespace's struct pages
// (enum nd_pfn_mode, drivers/nvdimm/nd.h).
type pfnMode uint32

const (
	pfnModeRAM  pfnMode = 1 // PFN_MODE_RAM: in ordinary memory
	pfnModePmem pfnMode = 2 // PFN_MODE_PMEM: in the device, before its data
)

// pfnInfo is the nd_pfn info block, which makes a namespace an fsdax device
// (struct nd_pfn_sb, drivers/nvdimm/pfn.h). The encoding is little-endian;
// Encode and decodePFNInfo add and check the signature and the checksum.
type pfnInfo struct {
	UUID [16]byte // the pfn device's own; must not be zero
	// ParentUUID is the namespace's UUID. It is zero for an nvdimm without a
	// label area (nd_dev_to_uuid).
	ParentUUID     [16]byte
	Flags          uint32 // none is defined
	VersionMajor   uint16 // 1
	VersionMinor   uint16 // 4: padding is zero, page sizes are recorded
	DataOffset     uint64 // bytes from the namespace's start + StartPad to the data
	Pages          uint64 // npfns: pages of data, 4 KiB each
	Mode           pfnMode
	StartPad       uint32 // bytes unused at the start, for section alignment
	EndTrunc       uint32 // bytes unused at the end
	Align          uint32 // bytes; DataOffset is a multiple of it
	PageSize       uint32 // bytes
	PageStructSize uint16 // bytes reserved for each struct page
}

// newPFNInfo describes a namespace of size bytes as nd_pfn_init does
// (drivers/nvdimm/pfn_devs.c; "ndctl create-namespace -m fsdax"): struct pages
// in the device, 2 MiB alignment. Errors are those of dataOffset.
func newPFNInfo(size int64, uuid [16]byte) (pfnInfo, error) {
	off, err := dataOffset(size)
	if err != nil {
		return pfnInfo{}, err
	}
	return pfnInfo{
		UUID:           uuid,
		VersionMajor:   1,
		VersionMinor:   4,
		DataOffset:     uint64(off),
		Pages:          uint64(size-off) / pageBytes,
		Mode:           pfnModePmem,
		Align:          pmemAlign,
		PageSize:       pageBytes,
		PageStructSize: pageStructBytes,
	}, nil
}

// dataOffset returns the offset of the data of an fsdax device of size bytes, in
// bytes from the device's start (nd_pfn_init, PFN_MODE_PMEM): 8 KiB plus 64 bytes
// for each page, rounded up to 2 MiB. The device itself must begin at a
// 2 MiB-aligned guest physical address. The size must be a multiple of 2 MiB
// that leaves room for data.
func dataOffset(size int64) (int64, error) {
	if size <= 0 || size%pmemAlign != 0 {
		return 0, fmt.Errorf("pmem size of %d bytes: not a multiple of 2 MiB", size)
	}
	pages := (size - pfnReserved) / pageBytes
	off := alignUp(pfnReserved+pages*pageStructBytes, pmemAlign)
	if off >= size {
		return 0, fmt.Errorf(
			"pmem size of %d bytes: no room for data after its struct pages; use at least %d",
			size,
			2*pmemAlign,
		)
	}
	return off, nil
}

// Encode returns the info block's pfnInfoBytes bytes, checksum included.
func (p pfnInfo) Encode() []byte {
	b := make([]byte, pfnInfoBytes)
	le := binary.LittleEndian
	copy(b[0:], pfnSignature)
	copy(b[16:], p.UUID[:])
	copy(b[32:], p.ParentUUID[:])
	le.PutUint32(b[48:], p.Flags)
	le.PutUint16(b[52:], p.VersionMajor)
	le.PutUint16(b[54:], p.VersionMinor)
	le.PutUint64(b[56:], p.DataOffset)
	le.PutUint64(b[64:], p.Pages)
	le.PutUint32(b[72:], uint32(p.Mode))
	le.PutUint32(b[76:], p.StartPad)
	le.PutUint32(b[80:], p.EndTrunc)
	le.PutUint32(b[84:], p.Align)
	le.PutUint32(b[88:], p.PageSize)
	le.PutUint16(b[92:], p.PageStructSize)
	le.PutUint64(b[pfnChecksumAt:], fletcher64(b))
	return b
}

const pfnChecksumAt = pfnInfoBytes - 8

// errNoPFNInfo is returned by decodePFNInfo for bytes that are not an info block.
var errNoPFNInfo = errors.New("no nd_pfn info block")

// decodePFNInfo decodes the info block at the start of b and makes the checks of
// nd_pfn_validate that do not depend on the device: signature, checksum, mode and
// alignment. The error is errNoPFNInfo if the kernel would treat the device as
// raw, and another error if the kernel would refuse it.
func decodePFNInfo(b []byte) (pfnInfo, error) {
	if len(b) < pfnInfoBytes {
		return pfnInfo{}, fmt.Errorf("got %d bytes, want %d: %w", len(b), pfnInfoBytes, errNoPFNInfo)
	}
	b = bytes.Clone(b[:pfnInfoBytes])
	if string(b[:16]) != pfnSignature {
		return pfnInfo{}, fmt.Errorf("signature %q: %w", b[:16], errNoPFNInfo)
	}
	le := binary.LittleEndian
	stored := le.Uint64(b[pfnChecksumAt:])
	le.PutUint64(b[pfnChecksumAt:], 0)
	if sum := fletcher64(b); sum != stored {
		return pfnInfo{}, fmt.Errorf("checksum %#x, computed %#x: %w", stored, sum, errNoPFNInfo)
	}
	p := pfnInfo{
		UUID:           [16]byte(b[16:32]),
		ParentUUID:     [16]byte(b[32:48]),
		Flags:          le.Uint32(b[48:]),
		VersionMajor:   le.Uint16(b[52:]),
		VersionMinor:   le.Uint16(b[54:]),
		DataOffset:     le.Uint64(b[56:]),
		Pages:          le.Uint64(b[64:]),
		Mode:           pfnMode(le.Uint32(b[72:])),
		StartPad:       le.Uint32(b[76:]),
		EndTrunc:       le.Uint32(b[80:]),
		Align:          le.Uint32(b[84:]),
		PageSize:       le.Uint32(b[88:]),
		PageStructSize: le.Uint16(b[92:]),
	}
	if p.Mode != pfnModeRAM && p.Mode != pfnModePmem {
		return pfnInfo{}, fmt.Errorf("nd_pfn info block: unknown mode %d", p.Mode)
	}
	if p.DataOffset%pageBytes != 0 || p.Align != 0 && p.DataOffset%uint64(p.Align) != 0 {
		return pfnInfo{}, fmt.Errorf("nd_pfn info block: data offset %#x is not aligned to %#x", p.DataOffset, p.Align)
	}
	return p, nil
}

// fletcher64 implements the kernel's nd_fletcher64 (drivers/nvdimm/core.c) over
// little-endian words. len(b) is a multiple of 4.
func fletcher64(b []byte) uint64 {
	var lo uint32
	var hi uint64
	for ; len(b) >= 4; b = b[4:] {
		lo += binary.LittleEndian.Uint32(b)
		hi += uint64(lo)
	}
	return hi<<32 | uint64(lo)
}

func alignUp(n, align int64) int64 { return (n + align - 1) / align * align }
