package apt

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSources(t *testing.T) {
	deb822 := `# a comment
Types: deb deb-src
URIs: file:/mirror
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: file:/off
Suites: trixie
Components: main

Types: deb
URIs: file:/key
Suites: sid
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: file:/vendor
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/vendor.gpg

Types: deb
URIs: file:/arm
Suites: bookworm
Components: main
Architectures: arm64
`
	oneLine := `# deb file:/commented bookworm main
deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg check-valid-until=no] file:/security bookworm-security main non-free # why
deb-src file:/sources bookworm main
deb cdrom:[Debian]/ bookworm main
deb file:/tool nodistro main
deb file:/other bookworm stable
deb file:/flat ./
`
	got := formatSources(debianSources(append(parseDeb822(deb822), parseOneLine(oneLine)...)))
	want := `Types: deb
URIs: file:/mirror
Suites: bookworm bookworm-updates
Components: main
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: file:/key
Suites: sid
Components: main
Architectures: amd64
Signed-By: 
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: file:/security
Suites: bookworm-security
Components: main
Architectures: amd64
signed-by: /usr/share/keyrings/debian-archive-keyring.gpg
check-valid-until: no

`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("sources mismatch (-want +got):\n%s", d)
	}
	if d := cmp.Diff(got, formatSources(parseDeb822(got))); d != "" {
		t.Errorf("formatted sources mismatch (-formatted +parsed and formatted again):\n%s", d)
	}
}

func TestSourceFor(t *testing.T) {
	machine := []stanza{
		{uris: []string{"file:/main"}, suites: []string{"bookworm", "bookworm-updates"}},
		{uris: []string{"file:/security"}, suites: []string{"bookworm-security"}},
		{uris: []string{"file:/backports"}, suites: []string{"bookworm-backports"}},
	}
	for suite, want := range map[string]string{
		"bookworm": "file:/main", "bullseye": "file:/main", "trixie-backports": "file:/main",
		"bookworm-backports": "file:/backports", "bullseye-security": "file:/security",
	} {
		got := sourceFor(suite, machine)
		if len(got) != 1 || got[0].uris[0] != want || !slices.Equal(got[0].suites, []string{suite}) {
			t.Errorf("%s: got source %v, want %s", suite, got, want)
		}
	}
	if got := sourceFor("bookworm-security", machine[:1]); got != nil {
		t.Errorf("security suite: got %v, want no source of the main archive", got)
	}
	if got := suitesOf(machine); !slices.Equal(got, []string{"bookworm", "bookworm-backports"}) {
		t.Errorf("suitesOf: got %v, want bookworm and bookworm-backports", got)
	}
}

func TestParseApt(t *testing.T) {
	for arg, want := range map[string]aptSpec{
		"bookworm":                         {"bookworm", ""},
		"trixie-backports":                 {"trixie-backports", ""},
		"bookworm/6.12":                    {"bookworm", "6.12"},
		"bookworm/linux-image-6.12.*-a[m]": {"bookworm", "linux-image-6.12.*-a[m]"},
		"linux-image-amd64":                {"", "linux-image-amd64"},
		"linux-image-6.*":                  {"", "linux-image-6.*"},
		"6.12":                             {"", "6.12"},
		"bookworm/linux-image-6.12.1+deb12-amd64-unsigned": {"bookworm", "linux-image-6.12.1+deb12-amd64-unsigned"},
	} {
		if got, err := parseApt(arg); err != nil || got != want {
			t.Errorf("parseApt(%q): got %v, %v; want %v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "/x", "bookworm/", "../etc", "bookworm/../x", "Bookworm", "bookworm/linux-[", "-o", "bookworm/-o"} {
		if got, err := parseApt(arg); err == nil {
			t.Errorf("parseApt(%q): got %v, want an error", arg, got)
		}
	}
}

func TestPick(t *testing.T) {
	var x aptIndex
	for _, l := range []string{
		"linux-image-amd64 6.1.170-3", "linux-image-amd64 6.1.192-1",
		"linux-image-6.1.0-9-amd64 6.1.27-1", "linux-image-6.1.0-56-amd64 6.1.192-1", "linux-image-6.1.0-56-amd64-unsigned 6.1.192-1",
		"linux-image-6.1.0-57-cloud-amd64 6.1.193-1", "linux-image-6.1.0-57-rt-amd64 6.1.193-1",
		"linux-image-6.12.9+deb12-amd64-unsigned 6.12.9-1", "linux-image-6.12.113+deb12-amd64-unsigned 6.12.113-1~deb12u1",
		"linux-image-6.12.113+deb12-cloud-amd64-unsigned 6.12.113-1~deb12u1", "linux-image-7.3-rc2-amd64 7.3~rc2-1~exp1",
	} {
		name, version, _ := strings.Cut(l, " ")
		x.Packages = append(x.Packages, aptPackage{Name: name, Version: version})
	}
	for want, name := range map[string]string{
		"linux-image-amd64":                 "linux-image-amd64 6.1.192-1",
		"6.1":                               "linux-image-6.1.0-56-amd64 6.1.192-1",
		"6.1.27":                            "linux-image-6.1.0-9-amd64 6.1.27-1",
		"6.12":                              "linux-image-6.12.113+deb12-amd64-unsigned 6.12.113-1~deb12u1",
		"6":                                 "linux-image-6.12.113+deb12-amd64-unsigned 6.12.113-1~deb12u1",
		"7.3":                               "linux-image-7.3-rc2-amd64 7.3~rc2-1~exp1",
		"6.11":                              " ",
		"linux-image-6.12.*-amd64-unsigned": "linux-image-6.12.113+deb12-amd64-unsigned 6.12.113-1~deb12u1",
		"linux-image-6.1.*-cloud-amd64":     "linux-image-6.1.0-57-cloud-amd64 6.1.193-1",
		"linux-image-*-nothing":             " ",
	} {
		p, _ := x.pick(want)
		if got := p.Name + " " + p.Version; got != name {
			t.Errorf("pick(%q): got %q, want %q", want, got, name)
		}
	}
}

func TestParsePackages(t *testing.T) {
	var x aptIndex
	err := parsePackages(strings.NewReader(`Package: linux-image-amd64
Version: 6.1.192-1
Depends: linux-image-6.1.0-56-amd64 (= 6.1.192-1)
Description: a
 Version: no
Size: 12
Filename: pool/main/l/linux.deb
SHA256: abc

Package: bash
Version: 5

Package: linux-image-6.1.0-56-amd64-dbg
Version: 6.1.192-1

Package: linux-base
Version: 4.9`), list{suite: "bookworm", uri: "http://localhost/debian/"}, &x)
	if err != nil {
		t.Fatal(err)
	}
	want := []aptPackage{
		{Name: "linux-image-amd64", Version: "6.1.192-1", Suite: "bookworm", Depends: "linux-image-6.1.0-56-amd64 (= 6.1.192-1)", SHA256: "abc", Size: "12", URL: "http://localhost/debian/pool/main/l/linux.deb"},
		{Name: "linux-base", Version: "4.9", Suite: "bookworm"},
	}
	if d := cmp.Diff(want, x.Packages); d != "" {
		t.Errorf("packages mismatch (-want +got):\n%s", d)
	}
}

func FuzzSources(f *testing.F) {
	f.Add("Types: deb\nURIs: file:/a\nSuites: bookworm\nComponents: main\nSigned-By:\n a\n")
	f.Add("deb [arch=amd64] file:/a bookworm main")
	f.Fuzz(func(t *testing.T, text string) {
		for _, all := range [][]stanza{parseDeb822(text), parseOneLine(text)} {
			if got := formatSources(all); len(parseDeb822(got)) > len(all) {
				t.Errorf("%d stanzas parse as more: %q", len(all), got)
			}
		}
	})
}
