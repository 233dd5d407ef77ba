// Package distro knows how packages are installed on this machine's distribution, by
// os-release(5), and how they are called there. Packages are named as in Debian.
package distro

import (
	_ "embed"
	"os"
	"slices"
	"strings"
	"sync"
)

// installers are the commands that install packages.
var installers = map[string]string{
	"apt-get": "apt-get install --no-install-recommends",
	"dnf":     "dnf install",
	"zypper":  "zypper install",
	"pacman":  "pacman -S --needed",
	"apk":     "apk add",
}

// managers are the programs that install packages, by ID or ID_LIKE of os-release(5).
var managers = map[string]string{
	"debian": "apt-get", "ubuntu": "apt-get",
	"fedora": "dnf", "rhel": "dnf", "centos": "dnf",
	"suse": "zypper", "opensuse": "zypper", "sles": "zypper",
	"arch":   "pacman",
	"alpine": "apk",
}

//go:embed packages.tsv
var table string

// names are the names of packages by manager, and by Debian's name.
var names = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	var columns []string
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		switch {
		case len(f) == 1:
			continue
		case columns == nil:
			columns = f
			columns[0] = strings.TrimPrefix(columns[0], "#")
			for _, c := range columns {
				all[c] = map[string]string{}
			}
			continue
		}
		for i, c := range columns {
			all[c][f[0]] = f[i]
		}
	}
	return all
})

// Distro is a distribution.
type Distro struct {
	manager string // "": unknown
}

// Here returns this machine's distribution.
var Here = sync.OnceValue(func() Distro { return read("/etc/os-release", "/usr/lib/os-release") })

// read reads the first of the files that exists.
func read(files ...string) Distro {
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			return parse(string(data))
		}
	}
	return Distro{}
}

// parse parses an os-release file: the distribution itself, else the nearest that it is
// like.
func parse(text string) Distro {
	var id, like string
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			id = value
		case "ID_LIKE":
			like = value
		}
	}
	for _, is := range append([]string{id}, strings.Fields(like)...) {
		if strings.HasPrefix(is, "opensuse") { // opensuse-leap, opensuse-tumbleweed
			is = "opensuse"
		}
		if m, ok := managers[is]; ok {
			return Distro{m}
		}
	}
	return Distro{}
}

// Package returns the name of a package, "" if there is none. A package that is not in the
// table has the same name everywhere, as far as is known.
func (d Distro) Package(debian string) string {
	switch name, ok := names()[d.manager][debian]; {
	case !ok:
		return debian
	case name == "-":
		return ""
	default:
		return name
	}
}

// Install returns the command that installs packages, with sudo for any user but root. On an
// unknown distribution it describes what to do instead.
func (d Distro) Install(debian ...string) string {
	var all []string
	for _, p := range debian {
		if n := d.Package(p); n != "" && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	packages := strings.Join(all, " ")
	install, known := installers[d.manager]
	if !known {
		return "your package manager, for what Debian calls " + packages
	}
	if os.Geteuid() != 0 {
		install = "sudo " + install
	}
	return install + " " + packages
}
