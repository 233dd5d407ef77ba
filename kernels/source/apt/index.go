package apt

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/faultline/faultline/kernels"
)

// buildIndex reads the kernel packages from the lists.
func (a *aptState) buildIndex(ctx context.Context, lists []list, opts kernels.Options) error {
	x := aptIndex{Format: aptIndexFormat, Machine: a.machine.stamp}
	foreign := 0
	for _, l := range lists {
		if metaPackages[l.origin] == "" {
			foreign++
			continue
		}
		if l.suite == a.suite {
			x.Origin = l.origin
		}
		if !slices.Contains(x.Suites, l.suite) {
			x.Suites = append(x.Suites, l.suite)
		}
		if err := l.read(ctx, func(r io.Reader) error { return parsePackages(r, l, &x) }); err != nil {
			return fmt.Errorf("read the package list of %s: %w", l.suite, err)
		}
	}
	if !slices.Contains(x.Suites, a.suite) {
		return fmt.Errorf(
			"find suite %s: none of the machine's apt sources has it with Origin Debian or Ubuntu (others: %d); %s",
			a.suite,
			foreign,
			advice(),
		)
	}
	if foreign > 0 {
		opts.Logf("skip %d source(s) for %s that are neither Debian's nor Ubuntu's", foreign, a.suite)
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

// reKernelPackage selects, from sixty thousand packages, the relevant ones.
var reKernelPackage = regexp.MustCompile(`^linux-(image|binary|modules|base)(-|$)`)

// parsePackages parses a Packages file (deb822(5)) into the index.
func parsePackages(r io.Reader, l list, x *aptIndex) error {
	b := bufio.NewReaderSize(r, 1<<16)
	var p aptPackage
	keep := false
	flush := func() {
		if keep && p.Version != "" {
			x.Packages = append(x.Packages, p)
		}
		p, keep = aptPackage{Suite: l.suite}, false
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
			case "Filename":
				p.URL = strings.TrimRight(l.uri, "/") + "/" + v
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
