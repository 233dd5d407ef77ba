package build

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels/kconfig"
)

// need is a program, or a header if its name ends with .h, and the Debian package
// that contains it.
type need struct{ name, pkg string }

// Tools returns an *execx.MissingError if this machine does not have what a kernel's
// build calls, including what a configuration needs.
func Tools(ctx context.Context, cc string, configs ...*kconfig.Config) error {
	needs := []need{
		{"make", "make"},
		{gcc(cc), gcc(cc)},
		{"objcopy", "binutils"},
		{"flex", "flex"},
		{"bison", "bison"},
		{"bc", "bc"},
		{"perl", "perl"},
		{"stdio.h", "libc6-dev"},
		{"gelf.h", "libelf-dev"},
	} // objtool needs libelf
	for _, f := range []struct {
		symbols string
		needs   []need
	}{
		// certs/, scripts/sign-file.c
		{"MODULE_SIG SYSTEM_TRUSTED_KEYRING", []need{{"openssl", "openssl"}, {"openssl/evp.h", "libssl-dev"}}},
		// scripts/link-vmlinux.sh
		{"DEBUG_INFO_BTF", []need{{"pahole", "dwarves"}}},
		// kernel/gen_kheaders.sh
		{"IKHEADERS", []need{{"cpio", "cpio"}}},
		{"MODULE_COMPRESS_XZ", []need{{"xz", "xz-utils"}}},
		{"MODULE_COMPRESS_ZSTD", []need{{"zstd", "zstd"}}},
	} {
		symbols := strings.Fields(f.symbols)
		if slices.ContainsFunc(configs, func(c *kconfig.Config) bool { return slices.ContainsFunc(symbols, c.Enabled) }) {
			needs = append(needs, f.needs...)
		}
	}
	return lacking(ctx, cc, needs)
}

// lacking returns an error that names all missing needs.
func lacking(ctx context.Context, cc string, needs []need) error {
	cc = gcc(cc)
	if _, err := find(cc); err != nil && !packaged.MatchString(cc) {
		return err
	}
	if _, err := exec.LookPath(cc); err != nil && cc != "gcc" {
		cc = "gcc" // finds the same headers
	}
	var names, packages []string
	for _, n := range needs {
		var err error
		if strings.HasSuffix(n.name, ".h") {
			_, err = execx.Ask(ctx, askLimit, cc, "-E", "-o", os.DevNull, "-include", n.name, "-x", "c", os.DevNull)
		} else {
			_, err = execx.Find(n.name, n.pkg)
		}
		if err != nil {
			names, packages = append(names, n.name), append(packages, n.pkg)
		}
	}
	if len(names) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &execx.MissingError{Tool: strings.Join(names, ", "), Package: strings.Join(packages, " ")}
}

// Compiler returns the version of the compiler: another one gives other kernels. A
// ccache in front of it does not change the result.
func Compiler(ctx context.Context, cc string) (string, error) {
	bin, err := find(gcc(cc))
	if err != nil {
		return "", err
	}
	out, err := execx.Run(ctx, "", nil, bin, "--version")
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// find finds the compiler.
func find(cc string) (string, error) {
	bin, err := execx.Find(cc, cc)
	if err != nil && !packaged.MatchString(cc) {
		return "", errkind.Requestf("the compiler %s is not in PATH; install it, or give another, such as gcc-12", cc)
	}
	return bin, err
}

// packaged matches the compilers that have Debian packages of the same name.
var packaged = regexp.MustCompile(`^(?:gcc|clang)(?:-\d+)?$`)

// gcc returns the compiler's name, which is also the name of its Debian package.
func gcc(cc string) string {
	if cc == "" {
		return "gcc"
	}
	return cc
}
