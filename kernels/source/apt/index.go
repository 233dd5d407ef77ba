package apt

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
)

// buildIndex reads the kernel packages from the lists that apt fetched.
func (a *aptState) buildIndex(ctx context.Context, opts kernels.Options) error {
	out, err := a.aptGet(ctx, "", "indextargets", "--format", "$(RELEASE)\t$(ORIGIN)\t$(FILENAME)", "Created-By: Packages")
	if err != nil {
		return fmt.Errorf("find the package lists: %w", err)
	}
	x := aptIndex{Format: aptIndexFormat, Machine: a.machine.stamp}
	var foreign []string
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 3 {
			continue
		}
		if f[1] != "Debian" && f[1] != "Debian Backports" {
			foreign = append(foreign, f[0])
			continue
		}
		if !slices.Contains(x.Suites, f[0]) {
			x.Suites = append(x.Suites, f[0])
		}
		if err := a.readList(ctx, f[0], f[2], &x); err != nil {
			return fmt.Errorf("read the package list of %s: %w", f[0], err)
		}
	}
	if !slices.Contains(x.Suites, a.suite) {
		return fmt.Errorf("find suite %s: none of the machine's apt sources has it with Origin Debian (others: %d); "+
			"add one to /etc/apt/sources.list.d, or use deb:FILE or dir:PATH", a.suite, len(foreign))
	}
	if len(foreign) > 0 {
		opts.Logf("skip %d source(s) for %s that are not Debian's", len(foreign), a.suite)
	}
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(a.indexFile(), data, 0o644); err != nil {
		return fmt.Errorf("write the index of kernel packages: %w", err)
	}
	a.index = &x
	return nil
}

// readList reads one list, in any compression that apt uses for it.
func (a *aptState) readList(ctx context.Context, suite, file string, x *aptIndex) error {
	// Not in PATH: apt's own helper, part of the package apt.
	const helper = "/usr/lib/apt/apt-helper"
	if !exists(helper) {
		return &execx.MissingError{Tool: helper, Package: "apt"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := execx.Command(ctx, "", nil, helper, "cat-file", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := parsePackages(out, suite, x)
	if readErr != nil {
		cancel()
	}
	return errors.Join(readErr, cmd.Wait())
}

// reKernelPackage selects, from sixty thousand packages, the relevant ones.
var reKernelPackage = regexp.MustCompile(`^linux-(image|binary|modules|base)(-|$)`)

// parsePackages parses a Packages file (deb822(5)) into the index.
func parsePackages(r io.Reader, suite string, x *aptIndex) error {
	b := bufio.NewReaderSize(r, 1<<16)
	var p aptPackage
	keep := false
	flush := func() {
		if keep && p.Version != "" {
			x.Packages = append(x.Packages, p)
		}
		p, keep = aptPackage{Suite: suite}, false
	}
	flush()
	for {
		line, err := b.ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		text := strings.TrimRight(line, "\r\n")
		if text == "" {
			flush()
		} else if v, ok := strings.CutPrefix(text, "Package: "); ok {
			p.Name = v
			keep = reKernelPackage.MatchString(v) && !strings.HasSuffix(v, "-dbg") && !strings.HasSuffix(v, "-dbgsym")
		} else if name, v, ok := strings.Cut(text, ": "); ok && keep && text[0] != ' ' {
			switch name {
			case "Version":
				p.Version = v
			case "Depends":
				p.Depends = v
			case "SHA256":
				p.SHA256 = v
			case "Size":
				p.Size = v
			}
		}
		if err == io.EOF {
			flush()
			return nil
		}
	}
}
