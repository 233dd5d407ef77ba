package matrix

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/modules"
)

// TestReal resolves Debian's own kernels through the machine's apt. The first
// run downloads them into the user's cache; -short skips it.
func TestReal(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads kernels; skipped with -short")
	}
	for name, pkg := range map[string]string{"apt-get": "apt", "depmod": "kmod"} {
		if _, err := execx.Find(name, pkg); err != nil {
			t.Skip(err)
		}
	}
	m, err := Wide()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Kernels {
		t.Run(strings.ReplaceAll(e.Spec, "/", "_"), func(t *testing.T) {
			// The race detector makes unpacking ten times slower, so that another process does it.
			fill := exec.CommandContext(t.Context(), "go", "run", "-trimpath", "-buildvcs=false", "../../cmd/faultline", "doctor", "--kernel", e.Spec)
			fill.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := fill.CombinedOutput(); err != nil {
				t.Logf("%v: %s", err, out) // the reason follows
			}
			opts := kernels.Options{Log: t.Logf}
			k, err := e.Resolve(t.Context(), opts)
			if spec := (*kernels.SpecError)(nil); errors.As(err, &spec) {
				t.Fatalf("the archive no longer has this kernel; replace it in wide.yaml: %v", err)
			}
			if err != nil {
				t.Fatalf("archive or network failure: %v", err)
			}
			defer k.Close()
			t.Logf("%s: release %s, %s, digest %.12s", k.Name, k.Release, k.Image, k.Digest)
			if !k.PVH {
				t.Error("no PVH note, which all Debian kernels have")
			}
			if image, err := os.ReadFile(k.Image); err != nil || !bytes.HasPrefix(image, []byte("\x7fELF")) {
				t.Errorf("got error %v, or no ELF image", err)
			}
			if lacks := k.Lacks("ACPI_NFIT", "BLK_DEV_PMEM", "FS_DAX", "EXT4_FS", "XFS_FS", "MEMORY_FAILURE", "X86_MCE", "HWPOISON_INJECT"); lacks != nil {
				t.Errorf("got no %v in the kernel, want all", lacks)
			}
			files, err := k.Modules("nfit", "nd_pmem", "ext4", "xfs", "virtio_pci", "virtio_console", "hwpoison-inject")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				data, err := modules.Read(f.Path)
				if err != nil || !bytes.HasPrefix(data, []byte("\x7fELF")) {
					t.Errorf("%s: got error %v, or no ELF file", f.Path, err)
				}
				if r := modules.Release(data); r != k.Release {
					t.Errorf("%s: got release %q, want %q", f.Path, r, k.Release)
				}
			}
			start := time.Now()
			again, err := e.Resolve(t.Context(), opts)
			if err != nil || again.Digest != k.Digest || again.Fresh() {
				t.Errorf("second time: got %+v, error %v; want the same kernel from the cache", again, err)
			}
			t.Logf("second time: %v", time.Since(start))
		})
	}
}
