package images

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDataOffset(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name       string
		size, want int64 // want 0: expect an error
	}{
		{"ndctl's 512 MiB (facts.md)", 512 * mib, 0xa00000},
		{"256 MiB", 256 * mib, 0x600000},
		{"320 MiB", 320 * mib, 0x600000},
		{"8 KiB exceed an alignment boundary", 128 * mib, 0x400000},
		{"just below", 126 * mib, 0x200000},
		{"minimum", 4 * mib, 0x200000},
		{"no room", 2 * mib, 0},
		{"odd", 3 * mib, 0},
		{"zero", 0, 0},
		{"negative", -2 * mib, 0},
		{"a terabyte", 1 << 40, 0x400200000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := dataOffset(tc.size)
			if got != tc.want || (err != nil) != (tc.want == 0) {
				t.Errorf("dataOffset(%d): got %#x, %v; want %#x", tc.size, got, err, tc.want)
			}
		})
	}
}

func TestPFNInfoKnown(t *testing.T) {
	p, err := newPFNInfo(536870912, [16]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	// As written by ndctl on a device of this size (facts.md).
	if p.DataOffset != 0xa00000 || p.Pages != 0x1f600 || p.Pages*pageBytes != 526385152 {
		t.Errorf("got data offset %#x, %#x pages, %d bytes; want 0xa00000, 0x1f600, 526385152", p.DataOffset, p.Pages, p.Pages*pageBytes)
	}
	b := p.Encode()
	if len(b) != pfnInfoBytes {
		t.Fatalf("got %d bytes, want %d", len(b), pfnInfoBytes)
	}
	le := binary.LittleEndian
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"version_major", uint64(le.Uint16(b[52:])), 1},
		{"version_minor", uint64(le.Uint16(b[54:])), 4},
		{"dataoff", le.Uint64(b[56:]), 0xa00000},
		{"npfns", le.Uint64(b[64:]), 0x1f600},
		{"mode", uint64(le.Uint32(b[72:])), 2},
		{"align", uint64(le.Uint32(b[84:])), 0x200000},
		{"page_size", uint64(le.Uint32(b[88:])), 4096},
		{"page_struct_size", uint64(le.Uint16(b[92:])), 64},
	} {
		if f.got != f.want {
			t.Errorf("%s: got %#x, want %#x", f.name, f.got, f.want)
		}
	}
	got, err := decodePFNInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got); d != "" {
		t.Errorf("decoded (-want +got):\n%s", d)
	}
}

func TestFletcher64(t *testing.T) {
	// The low sum is 1, 3, 2 (it wraps at 32 bits); the high sum adds those up.
	b := []byte{1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}
	if got, want := fletcher64(b), uint64(6<<32|2); got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

func TestDecodePFNInfoRefuses(t *testing.T) {
	good, err := newPFNInfo(64<<20, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	with := func(f func(*pfnInfo)) []byte { p := good; f(&p); return p.Encode() }
	flip := func(i int) []byte { b := good.Encode(); b[i] ^= 1; return b }
	for _, tc := range []struct {
		name string
		in   []byte
		none bool // errNoPFNInfo
	}{
		{"empty", nil, true},
		{"short", good.Encode()[:pfnInfoBytes-1], true},
		{"zeros", make([]byte, pfnInfoBytes), true},
		{"signature", flip(0), true},
		{"a changed byte", flip(64), true},
		{"a changed checksum", flip(pfnInfoBytes - 1), true},
		{"mode", with(func(p *pfnInfo) { p.Mode = 3 }), false},
		{"alignment", with(func(p *pfnInfo) { p.DataOffset += 4096 }), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := decodePFNInfo(tc.in); err == nil || errors.Is(err, errNoPFNInfo) != tc.none {
				t.Errorf("got %v, want an error, errNoPFNInfo %t", err, tc.none)
			}
		})
	}
}

func FuzzDecodePFNInfo(f *testing.F) {
	p, err := newPFNInfo(64<<20, [16]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Encode(), false)
	f.Add(p.Encode()[:96], true)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, b []byte, fix bool) {
		if fix { // otherwise the checksum would reject every mutation
			b = append(make([]byte, 0, pfnInfoBytes), b[:min(len(b), pfnChecksumAt)]...)[:pfnInfoBytes]
			copy(b, pfnSignature)
			clear(b[pfnChecksumAt:])
			binary.LittleEndian.PutUint64(b[pfnChecksumAt:], fletcher64(b))
		}
		p, err := decodePFNInfo(b)
		if err != nil {
			return
		}
		again, err := decodePFNInfo(p.Encode())
		if err != nil || again != p {
			t.Errorf("encoded %+v, decoded %+v, %v", p, again, err)
		}
	})
}
