package apt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
)

// machine is this machine's apt, or what stands for it on a machine without.
type machine struct {
	// files are its files of apt sources; nil: as reported by apt.
	files []string
}

// configuration is the machine's apt configuration, as far as it determines what an
// archive offers.
type configuration struct {
	sources []stanza // those that may be Debian's
	keys    []string // files of the keys for sources that name none
	// stamp identifies the sources, the keys that verify them, and how apt
	// reaches them.
	stamp string
}

// ownSources is the file of sources that only Faultline reads, in the form of
// sources.list(5), below the user's configuration directory. Unlike a file in /etc/apt it
// does not make the packages of an Ubuntu machine come from Debian.
const ownSources = "faultline/apt.sources"

// advice says where to add a source.
func advice() string {
	own := "~/.config/" + ownSources
	if dir, err := os.UserConfigDir(); err == nil {
		own = filepath.Join(dir, ownSources)
	}
	return "write one with a Debian mirror to " + own +
		" (see docs/guides/install.md), or use deb:FILE, rpm:FILE or dir:PATH"
}

// read reads the machine's configuration.
func (m machine) read(ctx context.Context) (configuration, error) {
	files, keys, acquire := m.files, []string(nil), ""
	own := ""
	if files == nil {
		var err error
		ask := configured
		if !Installed() {
			ask = usual
		}
		if files, keys, acquire, err = ask(ctx); err != nil {
			return configuration{}, err
		}
		if dir, err := os.UserConfigDir(); err == nil {
			own = filepath.Join(dir, ownSources)
			files = append(files, own)
		}
	}
	var all []stanza
	for _, f := range files {
		data, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return configuration{}, fmt.Errorf("read the machine's apt sources: %w", err)
		}
		switch {
		case f == own:
			all = append(all, parseDeb822(string(data))...)
		case strings.HasSuffix(f, ".sources"):
			all = append(all, debianSources(parseDeb822(string(data)))...)
		default:
			all = append(all, debianSources(parseOneLine(string(data)))...)
		}
	}
	if len(all) == 0 {
		return configuration{}, errors.New("find the machine's apt sources: none of them is Debian's; " + advice())
	}
	return configuration{all, keys, stamp(all, keys, acquire)}, nil
}

// usual returns apt's usual files, for a machine without apt: sources, and keys for those
// that name none.
func usual(context.Context) (files, keys []string, acquire string, err error) {
	files = append([]string{"/etc/apt/sources.list"}, in("/etc/apt/sources.list.d", ".list", ".sources")...)
	keys = in("/etc/apt/trusted.gpg.d", ".gpg", ".asc")
	for _, name := range []string{"debian-archive-keyring.pgp", "debian-archive-keyring.gpg"} {
		if k := filepath.Join("/usr/share/keyrings", name); exists(k) {
			keys = append(keys, k)
			break
		}
	}
	return files, keys, "", nil
}

// configured asks apt for the files of its sources, the files of the keys that apply to
// all of them, and how it reaches an archive: proxies and the like.
func configured(ctx context.Context) (files, keys []string, acquire string, err error) {
	config, err := execx.Find("apt-config", "apt")
	if err != nil {
		return nil, nil, "", err
	}
	out, err := execx.Run(
		ctx,
		"",
		nil,
		config,
		"shell",
		"list",
		"Dir::Etc::sourcelist/f",
		"parts",
		"Dir::Etc::sourceparts/d",
		"key",
		"Dir::Etc::trusted/f",
		"keys",
		"Dir::Etc::trustedparts/d",
	)
	if err != nil {
		return nil, nil, "", fmt.Errorf("find the machine's apt sources: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, "'")
		switch name {
		case "list":
			files = append(files, value)
		case "parts":
			files = append(files, in(value, ".list", ".sources")...)
		case "key":
			keys = append(keys, value)
		case "keys":
			keys = append(keys, in(value, ".gpg", ".asc")...)
		}
	}
	if out, err = execx.Run(ctx, "", nil, config, "dump"); err != nil {
		return nil, nil, "", fmt.Errorf("read apt's configuration: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Acquire::") {
			acquire += line
		}
	}
	return files, keys, acquire, nil
}

// in returns the files of a directory whose names have one of the suffixes.
func in(dir string, suffixes ...string) (files []string) {
	entries, _ := os.ReadDir(dir) // optional for apt too
	for _, s := range suffixes {
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), s) {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files
}

// proxies are the environment variables for proxies that apt's methods use.
var proxies = []string{"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"}

func stamp(sources []stanza, keys []string, acquire string) string {
	parts := []string{formatSources(sources), acquire}
	for _, s := range sources {
		for _, f := range s.fields {
			if strings.EqualFold(f.name, "Signed-By") {
				keys = append(keys, strings.FieldsFunc(f.value, func(r rune) bool { return r == ',' || r == ' ' })...)
			}
		}
	}
	for _, k := range keys {
		if !filepath.IsAbs(k) {
			continue // a fingerprint or an inline key: part of the sources
		}
		sum, err := cache.FileSum(k)
		if err != nil {
			sum = "none"
		}
		parts = append(parts, k, sum)
	}
	for _, name := range proxies {
		parts = append(parts, os.Getenv(name), os.Getenv(strings.ToUpper(name)))
	}
	return cache.Key(parts...)
}
