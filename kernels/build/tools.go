package build

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/faultline/faultline/internal/tool"
)

// Tools says by a *tool.MissingError what a kernel's build calls and this machine lacks.
func Tools(ctx context.Context, cc string) error {
	cc = gcc(cc)
	var names, packages []string
	for _, n := range [][2]string{{"make", "make"}, {cc, cc}, {"flex", "flex"}, {"bison", "bison"}, {"bc", "bc"}, {"perl", "perl"}} {
		if _, err := tool.Find(n[0], n[1]); err != nil {
			names, packages = append(names, n[0]), append(packages, n[1])
		}
	}
	if _, err := exec.LookPath(cc); err != nil && cc != "gcc" {
		cc = "gcc" // which finds the same headers
	}
	for _, h := range [][2]string{{"stdio.h", "libc6-dev"}, {"gelf.h", "libelf-dev"}} { // objtool wants libelf
		if _, err := exec.LookPath(cc); err != nil || exec.CommandContext(ctx, cc, "-E", "-o", os.DevNull, "-include", h[0], "-x", "c", os.DevNull).Run() != nil {
			names, packages = append(names, h[0]), append(packages, h[1])
		}
	}
	if len(names) == 0 {
		return ctx.Err()
	}
	return &tool.MissingError{Tool: strings.Join(names, ", "), Package: strings.Join(packages, " ")}
}

// Compiler is what the compiler says it is: another one gives other kernels.
func Compiler(ctx context.Context, cc string) (string, error) {
	bin, err := tool.Find(gcc(cc), gcc(cc))
	if err != nil {
		return "", err
	}
	out, err := tool.Run(ctx, "", nil, bin, "--version")
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// gcc is the compiler's name: also that of the Debian package which has it.
func gcc(cc string) string {
	if cc == "" {
		return "gcc"
	}
	return cc
}
