package images

import (
	"bytes"
	"os"
	"testing"
)

func TestLog(t *testing.T) {
	sb := make([]byte, 512)
	copy(sb, "XFSB")
	sb[sbBlockLog], sb[sbAGLog], sb[sbAGBlocks+2] = 14, 14, 0x25 // groups of 0x2500 blocks of 16 KiB
	sb[48+6], sb[48+7] = 0x40, 6                                 // the log starts at block 6 of group 1
	sb[96+2] = 0x10                                              // it has 0x1000 blocks
	start, length, err := Log(bytes.NewReader(sb))
	if err != nil || start != (0x2500+6)<<14 || length != 0x1000<<14 {
		t.Errorf("got %#x, %#x, error %v; want %#x, %#x", start, length, err, (0x2500+6)<<14, 0x1000<<14)
	}
	if _, _, err := Log(bytes.NewReader(make([]byte, 512))); err == nil {
		t.Error("got no error for a superblock of zeros")
	}
}

func FuzzCanonXFS(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("XFSB"))
	sb := make([]byte, 64<<10)
	copy(sb, "XFSB")
	sb[sbRootIno+7], sb[sbInodeSize], sb[sbBlockLog], sb[sbInopbLog], sb[sbAGLog] = 64, 2, 12, 3, 16
	copy(sb[32<<10:], "IN\x41\xed\x03")
	f.Add(sb)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(b); err != nil {
			t.Fatal(err)
		}
		if canonXFS(file) != nil {
			return
		}
		once := mustRead(t, file.Name())
		if len(once) != len(b) {
			t.Fatalf("got %d bytes, want %d", len(once), len(b))
		}
		if err := canonXFS(file); err != nil || !bytes.Equal(once, mustRead(t, file.Name())) {
			t.Errorf("a second time: got error %v, or another content", err)
		}
	})
}
