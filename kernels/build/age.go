package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/kernels/upstream"
)

// released says with which release of Linux a major version of gcc was new: a
// tree from before it was never built with it by those who wrote it
// (https://gcc.gnu.org/releases.html beside kernel.org's dates).
var released = []struct {
	gcc   int
	linux string
}{{8, "v4.17"}, {9, "v5.1"}, {10, "v5.7"}, {11, "v5.12"}, {12, "v5.18"}, {13, "v6.3"}, {14, "v6.9"}, {15, "v6.15"}}

// NewerCompiler advises about a tree that did not build, where the compiler is
// newer than the tree; "" where it is not, or neither can be told.
func (b *Build) NewerCompiler(source string) string {
	tree, err := treeRelease(source)
	if err != nil {
		return ""
	}
	out, err := exec.Command(gcc(b.CC), "-dumpversion").Output()
	if err != nil {
		return ""
	}
	return newer(tree, strings.TrimSpace(string(out)))
}

// newer words NewerCompiler's advice.
func newer(tree, compiler string) string {
	base, ok := upstream.Base(tree)
	head, _, _ := strings.Cut(compiler, ".")
	major, err := strconv.Atoi(head)
	if !ok || err != nil {
		return ""
	}
	best, since := 0, ""
	for _, r := range released {
		at, err := upstream.ParseRelease(r.linux)
		switch {
		case err != nil:
		case r.gcc <= major && since == "" && !base.AtLeast(at):
			since = r.linux
		case base.AtLeast(at):
			best = r.gcc
		}
	}
	if since == "" {
		return ""
	}
	advice := "set KCFLAGS=-Wno-error or what the log asks for in the environment"
	if best > 0 {
		advice = fmt.Sprintf("install an older one where Debian has it (apt-get install gcc-%d) and add ?cc=gcc-%d, or %s", best, best, advice)
	}
	return fmt.Sprintf("the tree is Linux %s, older than the compiler (gcc %s): %s", tree, compiler, advice)
}

var reVersion = regexp.MustCompile(`(?m)^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)[ \t]*$`)

// treeRelease reads the release out of a tree's Makefile.
func treeRelease(source string) (string, error) {
	data, err := os.ReadFile(filepath.Join(source, "Makefile"))
	if err != nil {
		return "", err
	}
	var parts []string
	for _, m := range reVersion.FindAllStringSubmatch(string(data[:min(len(data), 4096)]), 3) {
		parts = append(parts, m[2])
	}
	if len(parts) < 2 {
		return "", fmt.Errorf("%s/Makefile tells no version", source)
	}
	return strings.Join(parts, "."), nil
}
