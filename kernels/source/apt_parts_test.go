package source

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels"
)

// splitKernel returns the packages of a kernel that Debian splits.
func splitKernel(release, version string) (all []debian) {
	parts := split(release, version)
	for _, prefix := range []string{"linux-image-", "linux-binary-", "linux-modules-", "linux-base-"} {
		p := debian{prefix + release, version, "", parts[prefix]}
		if prefix == "linux-image-" {
			p.depends = fmt.Sprintf("linux-base-%[1]s (= %[2]s), linux-binary-%[1]s (= %[2]s), linux-modules-%[1]s (= %[2]s)", release, version)
		}
		all = append(all, p)
	}
	return all
}

// without returns all packages except those whose names have a prefix.
func without(all []debian, prefixes ...string) []debian {
	return slices.DeleteFunc(slices.Clone(all), func(p debian) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p.name, prefix) })
	})
}

// An archive removes old packages one by one: a missing package without files of the
// kernel is ignored, one with such files is named in the error.
func TestAptPartsGone(t *testing.T) {
	a := newArchive(t)
	const rel618, rel619, rel70, rel71, rel72 = "6.18.15+deb12-amd64", "6.19.14+deb12-amd64", "7.0.13+deb12-amd64", "7.1.13+deb12-amd64", "7.2.6+deb12-amd64"
	whole := func(release, version string) debian {
		return debian{"linux-image-" + release, version, fmt.Sprintf("kmod, linux-base-%s (= %s)", release, version), unsplit(release, version)}
	}
	packages := []debian{
		whole(rel618, "6.18.15-1"), whole("6.16.12+deb12-amd64", "6.16.12-1"),
		{"linux-base-6.16.12+deb12-amd64", "6.16.12-1", "", files{"usr/lib/modules/6.16.12+deb12-amd64/System.map": "x"}},
	}
	packages = append(packages, without(splitKernel(rel619, "6.19.14-1"), "linux-base", "linux-modules")...)
	packages = append(packages, without(splitKernel(rel70, "7.0.13-1"), "linux-binary")...)
	packages = append(packages, without(splitKernel(rel71, "7.1.13-1"), "linux-base")...)
	packages = append(packages, splitKernel(rel72, "7.2.6-1")...)
	packages = append(packages, without(splitKernel("7.2.9+deb12-amd64", "7.2.9-1"), "linux-modules")...)
	// Other forms: any version of linux-base, additional headers, a kernel that is one of
	// two alternatives, and a package that depends on itself.
	packages = append(packages,
		debian{"linux-image-6.17.9-amd64", "6.17.9-1", "linux-base-6.17.9-amd64, linux-headers-6.17.9-common (= 6.17.9-1), initramfs-tools | linux-initramfs-tool", unsplit("6.17.9-amd64", "6.17.9-1")},
		debian{"linux-image-either", "6.15.1-1", "linux-image-6.15.1-amd64 (= 6.15.1-1) | linux-image-unsigned-6.15.1-amd64 (= 6.15.1-1)", files{"usr/share/doc/m": "m"}},
		debian{"linux-image-unsigned-6.15.1-amd64", "6.15.1-1", "linux-image-unsigned-6.15.1-amd64:amd64 (= 6.15.1-1)", unsplit("6.15.1-amd64", "6.15.1-1")},
		debian{"linux-image-neither", "6.15.1-1", "linux-image-6.15.1-amd64 (= 6.15.1-1) | linux-image-6.15.2-amd64 (= 6.15.2-1)", files{"usr/share/doc/m": "m"}},
		debian{"linux-image-older", "6.14.1-1", "linux-image-6.17.9-amd64 (= 6.14.1-1)", files{"usr/share/doc/m": "m"}},
	)
	a.suite(t, "bookworm", "Debian", packages...)
	opts := testOptions(t)
	var logged []string
	opts.Log = func(f string, args ...any) { logged = append(logged, fmt.Sprintf(f, args...)) }
	for spec, want := range map[string]string{
		"apt:bookworm/6.18":                      "linux-image-" + rel618,
		"apt:bookworm/linux-image-" + rel618:     "linux-image-" + rel618,
		"apt:bookworm/6.16":                      "linux-image-6.16.12+deb12-amd64 linux-base-6.16.12+deb12-amd64",
		"apt:bookworm/7.2":                       "linux-image-" + rel72 + " linux-base-" + rel72 + " linux-binary-" + rel72 + " linux-modules-" + rel72,
		"apt:bookworm/6.17":                      "linux-image-6.17.9-amd64",
		"apt:bookworm/linux-image-either":        "linux-image-unsigned-6.15.1-amd64",
		"apt:bookworm/linux-image-7.2.?+*-amd64": "linux-image-" + rel72 + " linux-base-" + rel72 + " linux-binary-" + rel72 + " linux-modules-" + rel72,
	} {
		k, err := from(a.sources).Resolve(t.Context(), spec, opts)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		var names []string
		for _, p := range k.Packages {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got packages %s, want %s", spec, got, want)
		}
	}
	if !slices.ContainsFunc(logged, func(l string) bool {
		return strings.Contains(l, "use linux-image-7.2.6+deb12-amd64 7.2.6-1: linux-image-7.2.9+deb12-amd64 7.2.9-1 is incomplete")
	}) {
		t.Errorf("the log does not mention the older version: %q", logged)
	}
	for spec, want := range map[string]string{
		"apt:bookworm/6.19":                          "no package list of bookworm has linux-base-" + rel619 + " 6.19.14-1 and linux-modules-" + rel619 + " 6.19.14-1, which it needs",
		"apt:bookworm/7.0":                           "no package list of bookworm has linux-binary-" + rel70 + " 7.0.13-1, which",
		"apt:bookworm/7.1":                           "no package list of bookworm has linux-base-" + rel71 + " 7.1.13-1, which",
		"apt:bookworm/linux-image-neither":           "no package list of bookworm has linux-image-6.15.1-amd64 6.15.1-1 or linux-image-6.15.2-amd64 6.15.2-1, which",
		"apt:bookworm/linux-image-older":             "no package list of bookworm has linux-image-6.17.9-amd64 6.14.1-1, which",
		"apt:bookworm/linux-image-7.2.9+deb12-amd64": "no package list of bookworm has linux-modules-7.2.9+deb12-amd64 7.2.9-1, which",
	} {
		_, err := from(a.sources).Resolve(t.Context(), spec, opts)
		var request *kernels.SpecError
		if err == nil || errors.As(err, &request) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want %q, not as a SpecError", spec, err, want)
		}
	}
}

// For days, a security suite may have a kernel that is not signed yet and that no
// meta-package names: the suite's default remains the named one, and both are listed.
func TestAptUnsignedIsNewer(t *testing.T) {
	a := newArchive(t)
	const next = "6.1.0-57-amd64"
	unsigned := debian{"linux-image-" + next + "-unsigned", "6.1.193-1", "", unsplit(next, "6.1.193-1")}
	a.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	a.suite(t, "bookworm-security", "Debian", unsigned)
	opts := testOptions(t)
	for spec, want := range map[string]string{
		"apt:bookworm": "6.1.192", "apt:linux-image-amd64": "6.1.192", "apt:bookworm/6.1": "6.1.193", "apt:bookworm-security/6.1": "6.1.193",
	} {
		if k, err := from(a.sources).Resolve(t.Context(), spec, opts); err != nil || k.Version != want {
			t.Errorf("%s: got %v, %+v; want %s", spec, err, k, want)
		}
	}
	offers, err := from(a.sources).Offers(t.Context(), "", opts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range offers {
		got = append(got, fmt.Sprint(o.Spec, " ", o.Version, " ", o.Package, " ", o.Suite))
	}
	want := "apt:bookworm 6.1.192-1 linux-image-" + rel + " bookworm, apt:bookworm/6.1 6.1.193-1 linux-image-" + next + "-unsigned bookworm-security"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got %s\nwant %s", g, want)
	}
}

// A pattern lists each kernel of the plain flavour once, oldest first: the signed package,
// not one that depends on it, and none of which a part is missing.
func TestAptEach(t *testing.T) {
	a := newArchive(t)
	const rel612 = "6.12.9+deb12-amd64"
	kernel := func(release, version string) debian {
		return debian{"linux-image-" + release, version, "", unsplit(release, version)}
	}
	a.suite(t, "bookworm", "Debian", meta("6.1.170-1", "linux-image-6.1.0-47-amd64"), kernel("6.1.0-47-amd64", "6.1.170-1"),
		kernel("6.1.0-47-cloud-amd64", "6.1.170-1"), kernel("6.1.0-47-rt-amd64", "6.1.170-1"), kernel(rel, "6.1.192-1"))
	security := append(splitKernel("7.2.6+deb12-amd64", "7.2.6-1"), kernel(rel, "6.1.192-1"), kernel("6.1.0-55-amd64-unsigned", "6.1.192-1"),
		kernel(rel612, "6.12.9-1"), debian{"linux-image-6.12-amd64", "6.12.9-1", "linux-image-" + rel612, files{"x": "x"}})
	broken := splitKernel("7.2.9+deb12-amd64", "7.2.9-1")
	a.suite(t, "bookworm-security", "Debian", append(security, broken[:len(broken)-1]...)...)
	opts := testOptions(t)
	for spec, want := range map[string]string{
		"apt:bookworm/*":                  "linux-image-6.1.0-47-amd64 linux-image-" + rel + " linux-image-" + rel612 + " linux-image-7.2.6+deb12-amd64",
		"apt:bookworm/linux-image-6.1.0*": "linux-image-6.1.0-47-amd64 linux-image-" + rel,
		"apt:bookworm-security/*6.12*":    "linux-image-" + rel612,
		"apt:linux-image-6.12*":           "linux-image-" + rel612,
	} {
		offers, ok, err := from(a.sources).Matching(t.Context(), spec, opts)
		if err != nil || !ok {
			t.Fatalf("%s: got a pattern %t, error %v; want true, nil", spec, ok, err)
		}
		var got []string
		for _, o := range offers {
			got = append(got, o.Package)
			if !strings.HasPrefix(o.Spec, "apt:bookworm") || !strings.HasSuffix(o.Spec, "/"+o.Package) {
				t.Errorf("got the spec %s, want that of %s", o.Spec, o.Package)
			}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: got %s\nwant %s", spec, g, want)
		}
	}
	if _, ok, err := from(a.sources).Matching(t.Context(), "apt:bookworm/6.1", opts); ok || err != nil {
		t.Errorf("got a pattern %t, error %v; want false, nil", ok, err)
	}
}

// Ubuntu's default kernel is "generic", and a part of its modules is in a package that it
// does not depend on.
func TestAptUbuntu(t *testing.T) {
	a := newArchive(t)
	const rel64, rel68 = "6.8.0-45-generic", "6.8.0-48-generic"
	parts := func(release, version string) []debian {
		all := unsplit(release, version)
		modules := files{}
		for name, text := range all {
			if strings.HasPrefix(name, "lib/modules/") {
				modules[name] = text
				delete(all, name)
			}
		}
		return []debian{
			{"linux-image-" + release, version, "kmod, linux-base (>= 4.5), linux-modules-" + release, all},
			{"linux-modules-" + release, version, "wireless-regdb", modules},
			{"linux-modules-extra-" + release, version, "linux-image-" + release, files{"lib/modules/" + release + "/kernel/extra.ko": "x"}},
			{"linux-image-unsigned-" + release + "-dbgsym", version, "", files{"x": "x"}},
		}
	}
	a.suite(t, "noble", "Ubuntu", append(parts(rel64, "6.8.0-45.45"),
		debian{"linux-image-generic", "6.8.0-45.45", "linux-image-" + rel64 + ", linux-firmware", files{"x": "x"}})...)
	a.suite(t, "noble-security", "Ubuntu", append(parts(rel68, "6.8.0-48.48"), debian{"linux-image-generic", "6.8.0-48.48",
		"linux-image-" + rel68 + ", linux-modules-extra-" + rel68 + ", linux-firmware", files{"x": "x"}})...)
	a.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	sources := func(text string) string { return file(t, "x.list", []byte(text)) }
	ubuntu := fmt.Sprintf("deb [trusted=yes] file:%s/ubuntu noble main\ndeb [trusted=yes] file:%[1]s/ubuntu noble-security main\n", a.dir)
	if err := os.Symlink(".", a.dir+"/ubuntu"); err != nil {
		t.Fatal(err)
	}
	list := from(sources(ubuntu))
	opts := testOptions(t)
	for _, spec := range []string{"apt:noble", "apt:noble/6.8", "apt:linux-image-generic", "apt:noble-security"} {
		k, err := list.Resolve(t.Context(), spec, opts)
		if err != nil {
			t.Fatal(err)
		}
		if k.Release != rel68 || k.Version != "6.8.0" || len(k.Packages) != 3 {
			t.Errorf("%s: got %+v, want release %s, version 6.8.0, 3 packages", spec, k, rel68)
		}
	}
	offers, err := list.Offers(t.Context(), "", opts)
	if err != nil || len(offers) != 1 || offers[0].Spec != "apt:noble" || offers[0].Version != "6.8.0-48.48" {
		t.Errorf("got %+v, error %v; want apt:noble, 6.8.0-48.48", offers, err)
	}
	// Debian's suites are not looked for in Ubuntu's archive, nor Ubuntu's kernels in Debian's.
	_, err = list.Resolve(t.Context(), "apt:bookworm", opts)
	if err == nil || !strings.Contains(err.Error(), "none of the machine's apt sources is Debian's main archive") {
		t.Errorf("got %v, want none of the machine's apt sources is Debian's main archive", err)
	}
	own := sources(ubuntu + fmt.Sprintf("deb [trusted=yes] file:%s bookworm main\n", a.dir))
	if k, err := from(own).Resolve(t.Context(), "apt:bookworm", testOptions(t)); err != nil || k.Release != rel {
		t.Errorf("got %v, error %v; want release %s", k, err, rel)
	}
}
