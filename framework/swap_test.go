package framework

import (
	"encoding/binary"
	"testing"
)

func TestSwapHeader(t *testing.T) {
	h := swapHeader(4096, 128*KiB)
	if len(h) != 4096 || string(h[4086:]) != "SWAPSPACE2" || binary.LittleEndian.Uint32(h[1024:]) != 1 || binary.LittleEndian.Uint32(h[1028:]) != 31 {
		t.Errorf("got %d bytes, version %d, last page %d, %q; want 4096, 1, 31, SWAPSPACE2",
			len(h), binary.LittleEndian.Uint32(h[1024:]), binary.LittleEndian.Uint32(h[1028:]), h[4086:])
	}
}

func TestSlot(t *testing.T) {
	s := Slot{&Swap{Device{Disk: "pmem1", Name: "pmem(nfit,ext4)", page: 4096}}, 3 * 4096, "swap of anon+0x4000"}
	b, err := s.Blocks(512, 1024)
	if err != nil || b.Disk != "pmem1" || b.Sector != 25 || b.Count != 2 || b.Name != "swap of anon+0x4000" || s.PageBytes() != 4096 {
		t.Errorf("got %+v, error %v; want 2 sectors from 25 of pmem1", b, err)
	}
}
