package images

import (
	"bytes"
	"os"
	"testing"
)

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
