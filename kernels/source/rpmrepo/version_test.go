package rpmrepo

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Versions are compared as rpm does. Where rpm is installed, the table is compared with it.
func TestCompareVersions(t *testing.T) {
	rpm, _ := exec.LookPath("rpm")
	for _, c := range []struct {
		a    string
		want int
		b    string
	}{
		{"1.0", 0, "1.0"},
		{"1.0", -1, "2.0"},
		{"6.1.9", -1, "6.1.192"},
		{"6.12", -1, "6.12.1"},
		{"1.0.0", 0, "1.0_0"},
		{"1.01", 0, "1.1"},
		{"611.5.1.el9_7", 1, "611.el9"},
		{"611.el9_6", -1, "611.el9_7"},
		{"1a", 1, "1"},
		{"1.a", -1, "1.1"},
		{"xyz.4", -1, "8"},
		{"", -1, "1"},
		{"", 0, ""},

		{"1.0~rc1", -1, "1.0"},
		{"1.0~rc1", 0, "1.0~rc1"},
		{"1.0~rc1", -1, "1.0~rc2"},
		{"1.0~rc1~git2", -1, "1.0~rc1"},
		{"6.12.0~rc7", 1, "6.12.0~rc6"},
		{"6.12.0~rc7", -1, "6.12.0"},
		{"6.12.0~rc7", 1, "6.11.9"},

		{"1.0^", 1, "1.0"},
		{"1.0^", 0, "1.0^"},
		{"1.0^20260101", 1, "1.0"},
		{"1.0^20260101", -1, "1.0^20260102"},
		{"1.0^git1", -1, "1.01"},
		{"1.0^20260101", -1, "1.0.1"},
		{"1.0^20260101^git1", 1, "1.0^20260101"},
		{"1.0^20260102", 1, "1.0^20260101^git1"},
		{"1.0^20260101", 1, "1.0~rc1"},
		{"1.0~rc1^git1", 1, "1.0~rc1"},
		{"1.0~rc1^git1", -1, "1.0~rc2"},
		{"1.0~rc1^git1", -1, "1.0"},
		{"1.0^git1~pre", -1, "1.0^git1"},
		{"1.0^git1~pre", 1, "1.0"},
		{"1.0.^2", 1, "1.0"},
		{"1.0^a", -1, "1.0a"},
	} {
		if got := compareVersions(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: got %d, want %d", c.a, c.b, got, c.want)
		}
		if got := compareVersions(c.b, c.a); got != -c.want {
			t.Errorf("%q and %q: got %d, want %d", c.b, c.a, got, -c.want)
		}
		if rpm == "" || c.a == "" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), rpm, "--eval", fmt.Sprintf("%%{lua:print(rpm.vercmp(%q, %q))}", c.a, c.b)).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(c.want) {
			t.Errorf("%q and %q: rpm has %q, error %v; want %d", c.a, c.b, got, err, c.want)
		}
	}
}

// p returns a package: NAME EPOCH:VERSION-RELEASE ARCH.
func p(name, evr, arch string) pkg {
	p := pkg{Name: name, Arch: arch}
	epoch, vr, ok := strings.Cut(evr, ":")
	if !ok {
		epoch, vr = "", evr
	}
	p.Version.Epoch = epoch
	p.Version.Version, p.Version.Release, _ = strings.Cut(vr, "-")
	return p
}

// The newest package is chosen, with the modules of the same build and architecture.
func TestChoose(t *testing.T) {
	const x86, v2 = "x86_64", "x86_64_v2"
	all := []pkg{
		p("kernel", "6.12.0-1", v2), p("kernel-core", "6.12.0-1", v2), p("kernel-modules", "6.12.0-1", v2),
		p("kernel", "6.12.0-1", x86), p("kernel-core", "6.12.0-1", x86), p("kernel-modules", "6.12.0-1", x86),
		p("kernel-core", "6.12.0~rc7-1", x86), p("kernel-modules", "6.12.0~rc7-1", x86),
		p("kernel-core", "6.11.9^20260301-1", x86), p("kernel-modules", "6.11.9^20260301-1", x86),
		p("kernel-core", "6.11.9-1", x86),
		p("kernel-uek", "1:5.15.0-1", x86), p("kernel-uek", "6.1.0-1", x86), p("kernel-uek", "0:6.2.0-1", x86),
	}
	for pattern, want := range map[string]string{
		"kernel":                      "kernel-core-6.12.0-1.x86_64 kernel-modules-6.12.0-1.x86_64",
		"kernel-core":                 "kernel-core-6.12.0-1.x86_64 kernel-modules-6.12.0-1.x86_64",
		"kernel-core-6.12.0-1." + v2:  "kernel-core-6.12.0-1.x86_64_v2 kernel-modules-6.12.0-1.x86_64_v2",
		"kernel-6.12.0-1." + v2:       "kernel-core-6.12.0-1.x86_64_v2 kernel-modules-6.12.0-1.x86_64_v2",
		"kernel-core-6.12.0~*":        "kernel-core-6.12.0~rc7-1.x86_64 kernel-modules-6.12.0~rc7-1.x86_64",
		"kernel-core-6.11*":           "kernel-core-6.11.9^20260301-1.x86_64 kernel-modules-6.11.9^20260301-1.x86_64",
		"kernel-core-6.11.9":          "kernel-core-6.11.9-1.x86_64",
		"kernel-core-6.11.9^20260301": "kernel-core-6.11.9^20260301-1.x86_64 kernel-modules-6.11.9^20260301-1.x86_64",
		"kernel-uek":                  "kernel-uek-5.15.0-1.x86_64",
		"kernel-uek-6.*":              "kernel-uek-6.2.0-1.x86_64",
	} {
		main, err := choose(all, pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var got []string
		for _, p := range parts(all, main) {
			got = append(got, p.full())
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
	var specs []string
	for _, o := range offersOf(all, "http://host/os", "kernel-*") {
		specs = append(specs, strings.TrimPrefix(o.Spec, "rpmrepo:http://host/os/"))
	}
	const want = "kernel-uek-6.1.0-1 kernel-uek-6.2.0-1 kernel-core-6.11.9-1 kernel-core-6.11.9^20260301-1" +
		" kernel-core-6.12.0~rc7-1 kernel-core-6.12.0-1 kernel-uek-5.15.0-1"
	if got := strings.Join(specs, " "); got != want {
		t.Errorf("got offers %s, want %s", got, want)
	}
}
