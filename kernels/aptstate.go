package kernels

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/near"
)

// aptState is a private apt for one suite and what belongs to it: lists, a list of
// sources derived from the machine's, an index of the kernel packages. It lies in
// the cache folder, so no root is needed and the machine's apt stays as it is.
type aptState struct {
	suite string
	dir   string
	index *aptIndex
	// refreshed says that this process has just fetched the lists.
	refreshed bool
}

// aptIndex is what was read from the package lists, kept because apt itself
// takes a second to answer.
type aptIndex struct {
	Format   int          `json:"format"`
	Suites   []string     `json:"suites"`
	Packages []aptPackage `json:"packages"`
}

const aptIndexFormat = 1

// aptPackage is a kernel package in the lists.
type aptPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Suite   string `json:"suite"`
	Depends string `json:"depends,omitempty"`
	SHA256  string `json:"sha256"`
	Size    string `json:"size"` // bytes
}

// retryAfter is how long a failed refresh is not tried again while there are old lists.
const retryAfter = time.Hour

// openApt returns the state of a suite with lists that are fresh enough, or, where
// the mirror can't be reached, with those that are there.
func openApt(ctx context.Context, suite string, opts Options, force bool) (*aptState, error) {
	a := &aptState{suite: suite, dir: filepath.Join(opts.Cache.Dir(), "apt", suite)}
	if !force && a.read(opts.MaxAge) {
		return a, nil
	}
	fresh := !exists(a.dir)
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a private apt state: %w", err)
	}
	unlock, err := lockFile(ctx, filepath.Join(a.dir, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !force && a.read(opts.MaxAge) { // another process was first
		return a, nil
	}
	old := a.read(0)
	if failed, err := os.Stat(a.failedMark()); !force && old && err == nil && time.Since(failed.ModTime()) < retryAfter {
		return a, nil
	}
	err = a.refresh(ctx, opts)
	if err == nil {
		a.refreshed = true
		_ = os.Remove(a.failedMark())
		return a, nil
	}
	var spec *SpecError
	if old && ctx.Err() == nil && !errors.As(err, &spec) {
		opts.log("go on with the package lists of %s from %s: %v", suite, a.age(), err)
		_ = os.WriteFile(a.failedMark(), nil, 0o644)
		return a, nil
	}
	if fresh {
		_ = os.RemoveAll(a.dir)
	}
	return nil, err
}

func (a *aptState) indexFile() string  { return filepath.Join(a.dir, "index.json") }
func (a *aptState) failedMark() string { return filepath.Join(a.dir, "refresh-failed") }

func (a *aptState) age() string {
	info, err := os.Stat(a.indexFile())
	if err != nil {
		return "before"
	}
	return info.ModTime().Format("2006-01-02 15:04")
}

// read reads the index if it is younger than maxAge (0: of any age).
func (a *aptState) read(maxAge time.Duration) bool {
	info, err := os.Stat(a.indexFile())
	if err != nil || maxAge > 0 && time.Since(info.ModTime()) > maxAge {
		return false
	}
	data, err := os.ReadFile(a.indexFile())
	if err != nil {
		return false
	}
	var x aptIndex
	if json.Unmarshal(data, &x) != nil || x.Format != aptIndexFormat {
		return false
	}
	a.index = &x
	return true
}

// lockFile takes an exclusive lock, waiting until ctx ends.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the private apt state: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process that uses %s: %w", filepath.Dir(name), context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// aptGet runs apt-get on the private state.
func (a *aptState) aptGet(ctx context.Context, dir string, args ...string) ([]byte, error) {
	apt, err := tool("apt-get")
	if err != nil {
		return nil, err
	}
	set := []string{
		"Dir::State=" + a.dir,
		"Dir::State::lists=" + filepath.Join(a.dir, "lists"),
		"Dir::State::status=" + filepath.Join(a.dir, "status"),
		"Dir::Cache=" + a.dir,
		"Dir::Cache::archives=" + filepath.Join(a.dir, "archives"),
		// Caches of 50 MB that speed up nothing: the index answers.
		"Dir::Cache::pkgcache=",
		"Dir::Cache::srcpkgcache=",
		"Dir::Etc::sourcelist=" + a.sourcesFile(),
		"Dir::Etc::sourceparts=/dev/null",
		"Dir::Etc::preferences=/dev/null",
		"Dir::Etc::preferencesparts=/dev/null",
		"APT::Architecture=amd64",
		"APT::Architectures::=amd64",
		"Acquire::Languages=none",
		"Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
		"Acquire::AllowReleaseInfoChange=true", // "testing" changes its codename
		"Acquire::http::Timeout=20",
		"Acquire::https::Timeout=20",
	}
	if os.Geteuid() == 0 {
		// The sandbox's user can neither read nor write the cache folder.
		set = append(set, "APT::Sandbox::User=root")
	}
	var all []string
	for _, s := range set {
		all = append(all, "-o", s)
	}
	return run(ctx, dir, nil, apt, append(all, args...)...)
}

func (a *aptState) sourcesFile() string { return filepath.Join(a.dir, "faultline.sources") }

var (
	reNoRelease = regexp.MustCompile(`The repository '\S+ (\S+) Release' (?:does not have|no longer has) a Release file`)
	// Of a source that needs no signature ([trusted=yes]) apt goes on to the lists.
	reNoList = regexp.MustCompile(`Failed to fetch \S+/dists/(\S+)/main/\S+\s+(?:404|File not found)`)
	reKeys   = regexp.MustCompile(`NO_PUBKEY|EXPKEYSIG|REVKEYSIG|public key is not available|is not signed`)
)

// refresh fetches the lists and makes the index anew.
func (a *aptState) refresh(ctx context.Context, opts Options) error {
	machine, err := machineSources(ctx, opts)
	if err != nil {
		return err
	}
	var stanzas []stanza
	for _, s := range groupSuites(a.suite) {
		found := sourceFor(s, machine)
		if len(found) == 0 && s == a.suite {
			return fmt.Errorf("find a source for suite %s: the machine has none of Debian's %s archive among its apt sources; "+
				"add one to /etc/apt/sources.list.d, or use deb:FILE or dir:PATH", s, map[bool]string{true: "security", false: "main"}[isSecurity(s)])
		}
		stanzas = append(stanzas, found...)
	}
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			return fmt.Errorf("make a private apt state: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(a.dir, "status"), nil, 0o644); err != nil {
		return fmt.Errorf("make a private apt state: %w", err)
	}
	write := func() error {
		if err := os.WriteFile(a.sourcesFile(), []byte(formatSources(stanzas)), 0o644); err != nil {
			return fmt.Errorf("make a private apt state: %w", err)
		}
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	opts.log("fetch the package lists of %s", a.suite)
	_, err = a.aptGet(ctx, "", "update", "--error-on=any")
	if err != nil {
		missing, err := a.explain(err, machine)
		if err != nil {
			return err
		}
		// Not every release has all that may go with it.
		stanzas = slices.DeleteFunc(stanzas, func(s stanza) bool { return slices.Contains(missing, s.suites[0]) })
		if err := write(); err != nil {
			return err
		}
	}
	return a.buildIndex(ctx, stanzas, write, opts)
}

// explain turns apt-get update's complaints into one error, or, when all it
// misses is suites that need not exist, into their names.
func (a *aptState) explain(err error, machine []stanza) (missing []string, _ error) {
	var r *runError
	if !errors.As(err, &r) {
		return nil, err
	}
	var rest []string
	for line := range strings.Lines(r.stderr) {
		line = strings.TrimSpace(line)
		if m := reNoRelease.FindStringSubmatch(line); m != nil {
			missing = append(missing, m[1])
		} else if m := reNoList.FindStringSubmatch(line); m != nil && !a.hasRelease(m[1]) {
			missing = append(missing, m[1])
		} else if strings.Contains(line, "Some index files failed to download") && len(rest) == 0 {
			continue // the sum of what was said before
		} else if strings.HasPrefix(line, "E: ") || strings.HasPrefix(line, "W: ") && reKeys.MatchString(line) {
			rest = append(rest, line[3:])
		}
	}
	if slices.Contains(missing, a.suite) {
		e := &SpecError{Problem: fmt.Sprintf("no suite named %q in the archive that the machine's apt sources point to", a.suite)}
		known := []string{"bullseye", "bookworm", "trixie", "forky", "sid", "experimental", "bookworm-backports", "trixie-backports", "stable", "testing"}
		for _, s := range machine {
			known = append(known, s.suites...)
		}
		e.WayOut = "give a suite such as bookworm or trixie-backports, or write apt:SUITE/PACKAGE"
		if n := near.Names(a.suite, known); len(n) > 0 {
			e.WayOut = "did you mean " + quoted(n, "or") + "? " + e.WayOut
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
		return nil, fmt.Errorf("fetch the package lists of %s: its signature can't be verified with the keys that the machine's apt sources name: %s; "+
			"upgrade the package debian-archive-keyring, or name a keyring that has this suite's keys in Signed-By", a.suite, text)
	}
	return nil, fmt.Errorf("fetch the package lists of %s: %s; look at the network, the proxy and the mirror in /etc/apt, or use deb:FILE or dir:PATH", a.suite, text)
}

// hasRelease says whether apt got a suite's Release file, so that what it misses
// is a list, on a mirror that is being updated.
func (a *aptState) hasRelease(suite string) bool {
	m, _ := filepath.Glob(filepath.Join(a.dir, "lists", "*_dists_"+suite+"_*Release"))
	return len(m) > 0
}

// buildIndex reads the kernel packages from the lists that apt has fetched.
func (a *aptState) buildIndex(ctx context.Context, stanzas []stanza, write func() error, opts Options) error {
	out, err := a.aptGet(ctx, "", "indextargets", "--format", "$(RELEASE)\t$(ORIGIN)\t$(FILENAME)", "Created-By: Packages")
	if err != nil {
		return fmt.Errorf("find the package lists: %w", err)
	}
	x := aptIndex{Format: aptIndexFormat}
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
		return fmt.Errorf("find suite %s: no source among the machine's apt sources offers it with Origin Debian (others: %d); "+
			"add one to /etc/apt/sources.list.d, or use deb:FILE or dir:PATH", a.suite, len(foreign))
	}
	if len(foreign) > 0 {
		opts.log("leave out %d source(s) for %s that are not Debian's", len(foreign), a.suite)
	}
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	tmp := a.indexFile() + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return fmt.Errorf("write the index of kernel packages: %w", err)
	}
	if err := os.Rename(tmp, a.indexFile()); err != nil {
		return fmt.Errorf("write the index of kernel packages: %w", err)
	}
	a.index = &x
	return nil
}

// readList reads one list in whatever compression apt keeps it.
func (a *aptState) readList(ctx context.Context, suite, file string, x *aptIndex) error {
	// Not in PATH: apt's own helper, part of the package apt.
	const helper = "/usr/lib/apt/apt-helper"
	if !exists(helper) {
		return &ToolError{Tool: helper, Package: "apt"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := command(ctx, "", nil, helper, "cat-file", file)
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

// reKernelPackage picks, of sixty thousand packages, those that can matter.
var reKernelPackage = regexp.MustCompile(`^linux-(image|binary|modules|base)(-|$)`)

// parsePackages reads a Packages file (deb822(5)) into the index.
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

// machineSources reads the sources that the machine's apt is configured with, and
// keeps those that may be Debian's.
func machineSources(ctx context.Context, opts Options) ([]stanza, error) {
	files := opts.aptSources
	if files == nil {
		config, err := tool("apt-config")
		if err != nil {
			return nil, err
		}
		out, err := run(ctx, "", nil, config, "shell", "list", "Dir::Etc::sourcelist/f", "parts", "Dir::Etc::sourceparts/d")
		if err != nil {
			return nil, fmt.Errorf("find the machine's apt sources: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.Trim(value, "'")
			switch name {
			case "list":
				files = append(files, value)
			case "parts":
				for _, pattern := range []string{"*.list", "*.sources"} {
					m, _ := filepath.Glob(filepath.Join(value, pattern))
					files = append(files, m...)
				}
			}
		}
	}
	var all []stanza
	for _, f := range files {
		data, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the machine's apt sources: %w", err)
		}
		if strings.HasSuffix(f, ".sources") {
			all = append(all, parseDeb822(string(data))...)
		} else {
			all = append(all, parseOneLine(string(data))...)
		}
	}
	all = debianSources(all)
	if len(all) == 0 {
		return nil, errors.New("find the machine's apt sources: none of them is Debian's; " +
			"add a Debian mirror to /etc/apt/sources.list.d, or use deb:FILE or dir:PATH")
	}
	return all, nil
}

// machineSuites are the suites to look into for what "the machine has".
func machineSuites(machine []stanza) []string {
	var out []string
	for _, s := range machine {
		for _, suite := range s.suites {
			if isSecurity(suite) || strings.HasSuffix(suite, "-updates") && !strings.HasSuffix(suite, "-proposed-updates") {
				suite = baseSuite(suite)
			}
			if !slices.Contains(out, suite) {
				out = append(out, suite)
			}
		}
	}
	return out
}
