package build_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// only sets PATH to a directory with these programs and those that a compiler calls.
func only(t *testing.T, names ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, n := range append(names, "as", "ld", "objcopy") {
		if p, err := exec.LookPath(n); err == nil {
			if err := os.Symlink(p, filepath.Join(dir, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", dir)
}

func TestMissingTools(t *testing.T) {
	if err := build.Tools(t.Context(), ""); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		name, programs, want string
	}{
		{"flex and bc", "make gcc bison perl", "flex, bc is not installed; install it with: "},
		// Without a compiler, the headers can't be checked.
		{"a compiler", "make flex bison bc perl", "apt-get install --no-install-recommends gcc libc6-dev libelf-dev"},
		{"all", "", "apt-get install --no-install-recommends make gcc flex bison bc perl libc6-dev libelf-dev"},
	} {
		t.Run(c.name, func(t *testing.T) {
			only(t, strings.Fields(c.programs)...)
			err := build.Tools(t.Context(), "")
			if !errors.As(err, new(*execx.MissingError)) || errkind.ExitCode(err) != 2 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to contain %q", err, c.want)
			}
		})
	}
	only(t, "make", "gcc", "flex", "bison", "perl")
	config, err := kconfig.ParseBytes([]byte("CONFIG_DEBUG_INFO_BTF=y\nCONFIG_IKHEADERS=m\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := build.Tools(t.Context(), "", nil, config); err == nil || !strings.Contains(err.Error(), " bc dwarves cpio") {
		t.Errorf("with a configuration: got %v, want an error with bc dwarves cpio", err)
	}
}

// TestCompilerBehindCcache puts ccache's links in front of the compiler, as Debian's
// /usr/lib/ccache does.
func TestCompilerBehindCcache(t *testing.T) {
	ccache, err := exec.LookPath("ccache")
	if err != nil {
		t.Skip(err)
	}
	plain, err := build.Compiler(t.Context(), "")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(ccache, filepath.Join(dir, "gcc")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if behind, err := build.Compiler(t.Context(), ""); err != nil || behind != plain || !strings.Contains(behind, "gcc") {
		t.Errorf("%v: got %q, want %q", err, behind, plain)
	}
}
