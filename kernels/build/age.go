package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels/upstream"
)

// released maps major versions of gcc to the Linux release current at their release:
// earlier trees were never built with them by their authors
// (https://gcc.gnu.org/releases.html, compared with kernel.org's dates).
var released = []struct {
	gcc   int
	linux string
}{{8, "v4.17"}, {9, "v5.1"}, {10, "v5.7"}, {11, "v5.12"}, {12, "v5.18"}, {13, "v6.3"}, {14, "v6.9"}, {15, "v6.15"}}

// askLimit bounds what is asked of a compiler and of apt for advice.
const askLimit = 30 * time.Second

// NewerCompiler returns advice for a tree that did not build, if the compiler is newer
// than the tree; "" if it is not, or if either version is unknown.
func (b *Build) NewerCompiler(ctx context.Context) string {
	tree, err := treeRelease(b.Source)
	if err != nil {
		return ""
	}
	out, err := execx.Ask(ctx, askLimit, gcc(b.CC), "-dumpversion")
	if err != nil {
		return ""
	}
	return newer(tree, strings.TrimSpace(string(out)), compilers(ctx))
}

// newer implements NewerCompiler; others are the compilers to choose from.
func newer(tree, compiler string, others []choice) string {
	base, ok := upstream.Base(tree)
	head, _, _ := strings.Cut(compiler, ".")
	major, err := strconv.Atoi(head)
	if !ok || err != nil {
		return ""
	}
	fits, is := 0, false // the newest that is not newer than the tree
	for _, r := range released {
		at, err := upstream.ParseRelease(r.linux)
		switch {
		case err != nil:
		case base.AtLeast(at):
			fits = r.gcc
		case r.gcc <= major:
			is = true
		}
	}
	if !is {
		return ""
	}
	advice := "set KCFLAGS=-Wno-error, or what the log asks for, in the environment"
	if c, ok := pick(others, fits, major); ok {
		install := ""
		if !c.installed {
			install = fmt.Sprintf("run %s and ", (&execx.MissingError{Package: c.name()}).Command())
		}
		nearer := ""
		if c.gcc > fits {
			nearer = ", the oldest available"
		}
		advice = fmt.Sprintf("%sadd ?cc=%s%s, or %s", install, c.name(), nearer, advice)
	}
	return fmt.Sprintf("the tree is Linux %s, older than the compiler (gcc %s): %s", tree, compiler, advice)
}

// choice is a gcc that is installed, or that apt can install.
type choice struct {
	gcc       int // its major version
	installed bool
}

func (c choice) name() string { return fmt.Sprintf("gcc-%d", c.gcc) }

// pick returns, among the compilers older than the present one, the newest that fits,
// else the oldest.
func pick(all []choice, fits, present int) (best choice, ok bool) {
	for _, c := range all {
		switch {
		case c.gcc >= present:
			continue
		case !ok,
			c.gcc <= fits && (best.gcc > fits || c.gcc > best.gcc),
			c.gcc > fits && best.gcc > c.gcc,
			c.gcc == best.gcc && c.installed:
			best, ok = c, true
		}
	}
	return best, ok
}

var reGCC = regexp.MustCompile(`^gcc-(\d+)$`)

// compilers returns the installed compilers and those in apt's lists.
func compilers(ctx context.Context) (all []choice) {
	for _, r := range released {
		c := choice{gcc: r.gcc, installed: true}
		if _, err := exec.LookPath(c.name()); err == nil {
			all = append(all, c)
		}
	}
	out, _ := execx.Ask(ctx, askLimit, "apt-cache", "pkgnames", "gcc-") // empty on other distributions
	for name := range strings.Lines(string(out)) {
		if m := reGCC.FindStringSubmatch(strings.TrimSpace(name)); m != nil {
			n, _ := strconv.Atoi(m[1]) // digits
			all = append(all, choice{gcc: n})
		}
	}
	return all
}

var reVersion = regexp.MustCompile(`(?m)^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)[ \t]*$`)

// treeRelease returns the release from a tree's Makefile.
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
		return "", fmt.Errorf("%s/Makefile: no version", source)
	}
	return strings.Join(parts, "."), nil
}
