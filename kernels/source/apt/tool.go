package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/faultline/faultline/internal/arch"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/kernels"
)

var (
	reNoRelease = regexp.MustCompile(`The repository '\S+ (\S+) Release' (?:does not have|no longer has) a Release file`)
	// For sources that need no signature ([trusted=yes]) apt continues with the lists.
	reNoList = regexp.MustCompile(`Failed to fetch \S+/dists/(\S+)/main/\S+\s+(?:404|File not found)`)
	reKeys   = regexp.MustCompile(`NO_PUBKEY|EXPKEYSIG|REVKEYSIG|public key is not available|is not signed`)
)

// Installed reports whether this machine has apt.
func Installed() bool {
	_, get := execx.Find("apt-get", "apt")
	_, config := execx.Find("apt-config", "apt")
	return get == nil && config == nil
}

// Check returns an error that says what to do if this machine has no source of Debian's or
// Ubuntu's packages.
func Check(ctx context.Context) error {
	_, err := machine{}.read(ctx)
	return err
}

// aptLists makes apt fetch and verify the lists.
func (a *aptState) aptLists(ctx context.Context, stanzas []stanza, _ kernels.Options) ([]list, error) {
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("create a private apt state: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644); err != nil {
		return nil, fmt.Errorf("create a private apt state: %w", err)
	}
	write := func() error {
		if err := os.WriteFile(a.sourcesFile(), []byte(formatSources(stanzas)), 0o644); err != nil {
			return fmt.Errorf("create a private apt state: %w", err)
		}
		return nil
	}
	if err := write(); err != nil {
		return nil, err
	}
	if _, err := a.aptGet(ctx, "", "update", "--error-on=any"); err != nil {
		missing, err := a.explain(err, a.machine.sources)
		if err != nil {
			return nil, err
		}
		// Not every release has all its additional suites.
		stanzas = slices.DeleteFunc(stanzas, func(s stanza) bool { return slices.Contains(missing, s.suites[0]) })
		if err := write(); err != nil {
			return nil, err
		}
	}
	out, err := a.aptGet(ctx, "", "indextargets",
		"--format", "$(RELEASE)\t$(ORIGIN)\t$(REPO_URI)\t$(FILENAME)", "Created-By: Packages")
	if err != nil {
		return nil, fmt.Errorf("find the package lists: %w", err)
	}
	var all []list
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 {
			continue
		}
		all = append(
			all,
			list{suite: f[0], origin: f[1], uri: f[2], read: func(ctx context.Context, parse func(io.Reader) error) error {
				return readList(ctx, f[3], parse)
			}},
		)
	}
	return all, nil
}

// readList reads one of apt's lists, in any compression that apt uses for it.
func readList(ctx context.Context, file string, parse func(io.Reader) error) error {
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
	readErr := parse(out)
	if readErr != nil {
		cancel()
	}
	return errors.Join(readErr, cmd.Wait())
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
		return nil, a.noSuite(machine)
	}
	if len(rest) == 0 && len(missing) > 0 {
		return missing, nil
	}
	text := strings.Join(rest[:min(len(rest), 3)], " / ")
	if text == "" {
		return nil, a.unreachable(err)
	}
	if reKeys.MatchString(text) {
		return nil, a.unverified(text)
	}
	return nil, a.unreachable(errors.New(text))
}

// hasRelease reports whether apt fetched a suite's Release file, so that what is missing
// is a list, on a mirror that is being updated.
func (a *aptState) hasRelease(suite string) bool {
	m, _ := fs.Glob(os.DirFS(a.dir), "lists/*_dists_"+suite+"_*Release")
	return len(m) > 0
}

// aptDownload makes apt fetch and verify the packages.
func (c *aptChoice) aptDownload(ctx context.Context, dir string, opts kernels.Options) ([]string, error) {
	unlock, err := lockFile(ctx, filepath.Join(c.state.dir, "lock"), opts)
	if err != nil {
		return nil, err
	}
	defer unlock()
	args := []string{"-q", "download"}
	for _, p := range c.packages {
		var size uint64
		_, _ = fmt.Sscan(p.Size, &size)
		opts.Logf("download %s %s (%s)", p.Name, p.Version, humanize.Bytes(size))
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := c.state.aptGet(ctx, dir, args...); err != nil {
		return nil, err
	}
	var files []string
	for _, p := range c.packages {
		m, _ := fs.Glob(os.DirFS(dir), p.Name+"_*.deb")
		if len(m) != 1 {
			return nil, fmt.Errorf("apt-get left %d files of %s, want 1", len(m), p.Name)
		}
		files = append(files, filepath.Join(dir, m[0]))
	}
	return files, nil
}

// aptGet runs apt-get with the private state.
func (a *aptState) aptGet(ctx context.Context, dir string, args ...string) ([]byte, error) {
	apt, err := execx.Find("apt-get", "apt")
	if err != nil {
		return nil, err
	}
	set := []string{
		"Dir::State=" + a.dir,
		"Dir::State::lists=" + filepath.Join(a.dir, "lists"),
		"Dir::State::status=" + filepath.Join(a.dir, "status"),
		"Dir::Cache=" + a.dir,
		"Dir::Cache::archives=" + filepath.Join(a.dir, "archives"),
		// Caches of 50 MB that are of no use: the index replaces them.
		"Dir::Cache::pkgcache=",
		"Dir::Cache::srcpkgcache=",
		"Dir::Etc::sourcelist=" + a.sourcesFile(),
		"Dir::Etc::sourceparts=/dev/null",
		"Dir::Etc::preferences=/dev/null",
		"Dir::Etc::preferencesparts=/dev/null",
		"APT::Architecture=" + arch.AMD64.Debian,
		"APT::Architectures::=" + arch.AMD64.Debian,
		"Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
		"Acquire::AllowReleaseInfoChange=true", // "testing" changes its codename
		"Acquire::http::Timeout=20",
		"Acquire::https::Timeout=20",
	}
	if os.Geteuid() == 0 {
		// The sandbox's user can't access the cache directory.
		set = append(set, "APT::Sandbox::User=root")
	}
	var all []string
	for _, s := range set {
		all = append(all, "-o", s)
	}
	return execx.Run(ctx, dir, nil, apt, append(all, args...)...)
}

func (a *aptState) sourcesFile() string { return filepath.Join(a.dir, "faultline.sources") }
