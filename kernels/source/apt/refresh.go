package apt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/kernels"
)

var (
	reNoRelease = regexp.MustCompile(`The repository '\S+ (\S+) Release' (?:does not have|no longer has) a Release file`)
	// For sources that need no signature ([trusted=yes]) apt continues with the lists.
	reNoList = regexp.MustCompile(`Failed to fetch \S+/dists/(\S+)/main/\S+\s+(?:404|File not found)`)
	reKeys   = regexp.MustCompile(`NO_PUBKEY|EXPKEYSIG|REVKEYSIG|public key is not available|is not signed`)
)

// refresh fetches the lists and rebuilds the index.
func (a *aptState) refresh(ctx context.Context, opts kernels.Options) error {
	machine := a.machine.sources
	var stanzas []stanza
	for _, s := range groupSuites(a.suite) {
		found := sourceFor(s, machine)
		if len(found) == 0 && s == a.suite {
			return fmt.Errorf("find a source for suite %s: none of the machine's apt sources is Debian's %s archive; "+
				"add one to /etc/apt/sources.list.d, or use deb:FILE or dir:PATH",
				s, map[bool]string{true: "security", false: "main"}[isSecurity(s)])
		}
		stanzas = append(stanzas, found...)
	}
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return fmt.Errorf("create a private apt state: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644); err != nil {
		return fmt.Errorf("create a private apt state: %w", err)
	}
	write := func() error {
		if err := os.WriteFile(a.sourcesFile(), []byte(formatSources(stanzas)), 0o644); err != nil {
			return fmt.Errorf("create a private apt state: %w", err)
		}
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	opts.Logf("fetch the package lists of %s", a.suite)
	_, err := a.aptGet(ctx, "", "update", "--error-on=any")
	if err != nil {
		missing, err := a.explain(err, machine)
		if err != nil {
			return err
		}
		// Not every release has all its additional suites.
		stanzas = slices.DeleteFunc(stanzas, func(s stanza) bool { return slices.Contains(missing, s.suites[0]) })
		if err := write(); err != nil {
			return err
		}
	}
	return a.buildIndex(ctx, opts)
}

// explain turns the errors of apt-get update into one error, or, if only optional suites
// are missing, into their names.
func (a *aptState) explain(err error, machine []stanza) (missing []string, _ error) {
	var r *execx.RunError
	if !errors.As(err, &r) {
		return nil, err
	}
	var rest []string
	for line := range strings.Lines(r.Stderr) {
		line = strings.TrimSpace(line)
		if m := reNoRelease.FindStringSubmatch(line); m != nil {
			missing = append(missing, m[1])
		} else if m := reNoList.FindStringSubmatch(line); m != nil && !a.hasRelease(m[1]) {
			missing = append(missing, m[1])
		} else if strings.Contains(line, "Some index files failed to download") && len(rest) == 0 {
			continue // a summary of earlier messages
		} else if strings.HasPrefix(line, "E: ") || strings.HasPrefix(line, "W: ") && reKeys.MatchString(line) {
			rest = append(rest, line[3:])
		}
	}
	if slices.Contains(missing, a.suite) {
		e := &kernels.SpecError{Problem: fmt.Sprintf("the archive of the machine's apt sources has no suite %q", a.suite)}
		known := []string{
			"bullseye",
			"bookworm",
			"trixie",
			"forky",
			"sid",
			"experimental",
			"bookworm-backports",
			"trixie-backports",
			"stable",
			"testing",
		}
		for _, s := range machine {
			known = append(known, s.suites...)
		}
		e.Hint = "give a suite such as bookworm or trixie-backports, or write apt:SUITE/PACKAGE"
		if n := suggest.Names(a.suite, known); len(n) > 0 {
			e.Hint = "did you mean " + suggest.Quoted(n, "or") + "? " + e.Hint
		}
		return nil, e
	}
	if len(rest) == 0 && len(missing) > 0 {
		return missing, nil
	}
	text := strings.Join(rest[:min(len(rest), 3)], " / ")
	if text == "" {
		return nil, fmt.Errorf("fetch the package lists of %s: %w", a.suite, err)
	}
	if reKeys.MatchString(text) {
		return nil, fmt.Errorf(
			"fetch the package lists of %s: signature can't be verified with the keys of the machine's apt sources: %s; "+
				"upgrade the package debian-archive-keyring, or set Signed-By to a keyring with this suite's keys",
			a.suite,
			text,
		)
	}
	return nil, fmt.Errorf(
		"fetch the package lists of %s: %s; check the network, the proxy and the mirror in /etc/apt, or use deb:FILE or dir:PATH",
		a.suite,
		text,
	)
}

// hasRelease reports whether apt fetched a suite's Release file, so that what is missing
// is a list, on a mirror that is being updated.
func (a *aptState) hasRelease(suite string) bool {
	m, _ := fs.Glob(os.DirFS(a.dir), "lists/*_dists_"+suite+"_*Release")
	return len(m) > 0
}
