package kernels_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
)

// ModulesSigned depends on one of the kernel's own modules, not on modules installed for
// it by others.
func TestModulesSigned(t *testing.T) {
	bare := fake.Module("ext4", "6.1.0")
	signed := append(bytes.Clone(bare), "sig~Module signature appended~\n"...)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(signed)
	_ = z.Close()
	for name, c := range map[string]struct {
		files map[string][]byte
		want  bool
	}{
		"no modules":                {map[string][]byte{"modules.dep": nil}, true},
		"signed":                    {map[string][]byte{"kernel/fs/ext4/ext4.ko": signed}, true},
		"not signed":                {map[string][]byte{"kernel/fs/ext4/ext4.ko": bare}, false},
		"signed and compressed":     {map[string][]byte{"kernel/fs/ext4/ext4.ko.gz": packed.Bytes()}, true},
		"unsigned foreign module":   {map[string][]byte{"extra/zfs.ko": bare, "kernel/fs/ext4/ext4.ko": signed}, true},
		"signed foreign module":     {map[string][]byte{"extra/zfs.ko": signed, "kernel/fs/ext4/ext4.ko": bare}, false},
		"foreign module comes last": {map[string][]byte{"kernel/fs/ext4/ext4.ko": signed, "updates/dkms/zfs.ko": bare}, true},
		"only foreign modules":      {map[string][]byte{"updates/dkms/zfs.ko": bare}, false},
		"unreadable module first":   {map[string][]byte{"kernel/a.ko.gz": []byte("no gzip"), "kernel/b.ko": bare}, false},
		"outside kernel directory":  {map[string][]byte{"ext4.ko": bare}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for rel, data := range c.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, rel), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := (&kernels.Kernel{ModulesDir: dir}).ModulesSigned(); got != c.want {
				t.Errorf("got signed %v, want %v", got, c.want)
			}
		})
	}
	if !(&kernels.Kernel{}).ModulesSigned() {
		t.Error("no modules: got unsigned")
	}
}

// BuiltFor returns the release of the first readable module.
func TestBuiltFor(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"a.ko.gz": []byte("no gzip"), "b.ko": []byte("no ELF"), "c.ko": fake.Module("c", "6.1.0-56-amd64")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := kernels.BuiltFor(t.Context(), dir); got != "6.1.0-56-amd64" {
		t.Errorf("got %q, want 6.1.0-56-amd64", got)
	}
}
