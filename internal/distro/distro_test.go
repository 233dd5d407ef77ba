package distro

import (
	"strings"
	"testing"
)

func TestInstall(t *testing.T) {
	for name, c := range map[string]struct{ osRelease, want string }{
		"Debian":   {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", "apt-get install --no-install-recommends xz-utils libelf-dev gcc-12 apt"},
		"Ubuntu":   {"ID=ubuntu\nID_LIKE=debian\n", "apt-get install --no-install-recommends xz-utils libelf-dev gcc-12 apt"},
		"Mint":     {"ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "apt-get install --no-install-recommends xz-utils libelf-dev gcc-12 apt"},
		"Fedora":   {"NAME=\"Fedora Linux\"\nID=fedora\n", "dnf install xz elfutils-libelf-devel gcc-12"},
		"Rocky":    {"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "dnf install xz elfutils-libelf-devel gcc-12"},
		"openSUSE": {"ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n", "zypper install xz libelf-devel gcc-12"},
		"SLES":     {"ID=\"sles\"\nID_LIKE=\"suse\"\n", "zypper install xz libelf-devel gcc-12"},
		"Arch":     {"ID=arch\n", "pacman -S --needed xz libelf gcc-12"},
		"Manjaro":  {"ID=manjaro\nID_LIKE=arch\n", "pacman -S --needed xz libelf gcc-12"},
		"Alpine":   {"ID=alpine\n", "apk add xz elfutils-dev gcc-12"},
		"unknown":  {"ID=nixos\n", "your package manager, for what Debian calls xz-utils libelf-dev gcc-12 apt"},
		"no file":  {"", "your package manager, for what Debian calls xz-utils libelf-dev gcc-12 apt"},
	} {
		got := strings.TrimPrefix(parse(c.osRelease).Install("xz-utils", "libelf-dev", "gcc-12", "libelf-dev", "apt"), "sudo ")
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if d := read("/nowhere"); d != (Distro{}) {
		t.Errorf("got %+v, want none", d)
	}
}

// Each row of the table has a name for each program that installs packages.
func TestTable(t *testing.T) {
	for line := range strings.Lines(table) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) != 1 && len(f) != len(installers) {
			t.Errorf("got %d columns, want 1 or %d: %q", len(f), len(installers), line)
		}
	}
	for manager := range installers {
		if got := names()[manager]; len(got) < 30 {
			t.Errorf("%s: got %v, want at least 30 names", manager, got)
		}
	}
}
