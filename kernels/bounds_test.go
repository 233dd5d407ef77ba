package kernels

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/internal/limitread"
)

// endless is an endless input.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWriteFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	var large *limitread.Error
	if err := WriteFile(dir, FileConfig, endless{}); !errors.As(err, &large) || large.Most != maxConfig {
		t.Errorf("got %v, want a size error", err)
	}
	if err := WriteFile(dir, "lib/modules/6.1/modules.order", io.LimitReader(endless{}, 10)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "lib/modules/6.1/modules.order")); err != nil || info.Size() != 10 {
		t.Errorf("got %v, error %v; want a file of 10 bytes", info, err)
	}
}

func TestMaxBytes(t *testing.T) {
	for name, want := range map[string]int64{
		FileVmlinuz: maxImage, FileVmlinux: maxImage, FileConfig: maxConfig,
		"lib/modules/6.1/kernel/a.ko.xz": 256 << 20, "lib/modules/6.1/modules.dep": maxList, "lib/modules/6.1/vmlinuz": maxList,
	} {
		if got := MaxBytes(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}
