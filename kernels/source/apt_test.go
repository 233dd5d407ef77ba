package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/kernels"
)

// archive is a mirror with suites; sources is a machine's list of apt sources with the
// mirror. apt-get reads its packages without a network and without root.
type archive struct {
	dir     string
	sources string
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	needs(t, "apt-get", "apt-config", "dpkg-deb", "depmod")
	a := &archive{dir: t.TempDir()}
	a.sources = filepath.Join(a.dir, "machine.list")
	files{"machine.list": fmt.Sprintf("deb [trusted=yes] file:%s bookworm main\ndeb [trusted=yes] file:%s bookworm-security main\n", a.dir, a.dir)}.in(t, a.dir)
	return a
}

type debian struct {
	name, version, depends string
	content                files
}

func (a *archive) suite(t *testing.T, name, origin string, packages ...debian) {
	t.Helper()
	var index strings.Builder
	for _, p := range packages {
		pool := filepath.Join(a.dir, "pool", name)
		if err := os.MkdirAll(pool, 0o755); err != nil {
			t.Fatal(err)
		}
		file := pack(t, pool, p.name, p.version, p.depends, p.content)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&index, "Package: %s\nVersion: %s\nArchitecture: amd64\n", p.name, p.version)
		if p.depends != "" {
			fmt.Fprintf(&index, "Depends: %s\n", p.depends)
		}
		fmt.Fprintf(&index, "Filename: pool/%s/%s\nSize: %d\nSHA256: %x\n\n", name, filepath.Base(file), len(data), sha256.Sum256(data))
	}
	release := fmt.Sprintf("Origin: %s\nSuite: %s\nCodename: %s\nDate: %s\nArchitectures: amd64\nComponents: main\nSHA256:\n %x %d main/binary-amd64/Packages\n",
		origin, name, name, time.Now().UTC().Format(time.RFC1123), sha256.Sum256([]byte(index.String())), index.Len())
	files{"Release": release, "main/binary-amd64/Packages": index.String()}.in(t, filepath.Join(a.dir, "dists", name))
}

func image(version string) debian {
	return debian{"linux-image-" + rel, version, "kmod, linux-base (>= 4.3~)", unsplit(rel, version)}
}

func meta(version, target string) debian {
	return debian{"linux-image-amd64", version, fmt.Sprintf("%s (= %s)", target, version), files{"usr/share/doc/m": "m"}}
}

func TestApt(t *testing.T) {
	a := newArchive(t)
	const rel612, rel7 = "6.12.9+deb12-amd64", "7.3.4+deb13-amd64"
	a.suite(t, "bookworm", "Debian", meta("6.1.170-1", "linux-image-6.1.0-50-amd64"), debian{"linux-base", "4.9", "", files{"x": "x"}})
	a.suite(t, "bookworm-security", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"),
		debian{"linux-image-" + rel612 + "-unsigned", "6.12.9-1", "", unsplit(rel612, "6.12.9-1")})
	parts := []debian{meta("7.3.4-1", "linux-image-"+rel7)}
	for prefix, content := range split(rel7, "7.3.4-1") {
		p := debian{prefix + rel7, "7.3.4-1", "", content}
		if prefix == "linux-image-" {
			p.depends = fmt.Sprintf("linux-initramfs-tool, linux-base-%[1]s (= 7.3.4-1), linux-binary-%[1]s (= 7.3.4-1), linux-modules-%[1]s (= 7.3.4-1)", rel7)
		}
		parts = append(parts, p)
	}
	a.suite(t, "trixie-backports", "Debian Backports", parts...)

	opts := testOptions(t)
	list := from(a.sources)
	var logged []string
	opts.Log = func(f string, args ...any) { logged = append(logged, fmt.Sprintf(f, args...)) }
	for _, c := range []struct {
		spec, version, release, suite string
		packages                      int
	}{
		{"apt:bookworm", "6.1.192", rel, "bookworm-security", 1}, // the mirror has no bookworm-updates
		{"apt:bookworm/6.12", "6.12.9", rel612, "bookworm-security", 1},
		{"apt:bookworm/linux-image-6.12.*-amd64-unsigned", "6.12.9", rel612, "bookworm-security", 1},
		{"apt:bookworm/linux-image-" + rel, "6.1.192", rel, "bookworm-security", 1},
		{"apt:linux-image-amd64", "6.1.192", rel, "bookworm-security", 1},
		{"apt:bookworm-security", "6.1.192", rel, "bookworm-security", 1},
		{"apt:trixie-backports", "7.3.4", rel7, "trixie-backports", 4},
	} {
		k, err := list.Resolve(t.Context(), c.spec, opts)
		if err != nil {
			t.Fatalf("%s: %v", c.spec, err)
		}
		if k.Version != c.version || k.Release != c.release || len(k.Packages) != c.packages || k.Packages[0].Suite != c.suite ||
			k.Name != c.version+" ("+c.spec+")" || k.ModulesDir == "" || exists(filepath.Join(filepath.Dir(k.Image), "debs")) {
			t.Errorf("%s: got %+v, want version %s, release %s, %d packages of %s", c.spec, k, c.version, c.release, c.packages, c.suite)
		}
	}

	// The second time nothing is run: the archive is gone and apt is not in PATH.
	t.Run("again without the archive", func(t *testing.T) {
		logged = nil
		hidden := a.dir + ".away"
		if err := os.Rename(filepath.Join(a.dir, "dists"), hidden); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(hidden, filepath.Join(a.dir, "dists"))
		t.Setenv("PATH", "/nowhere")
		if k, err := list.Resolve(t.Context(), "apt:bookworm", opts); err != nil || k.Fresh() || len(logged) > 0 {
			t.Errorf("got error %v, logged %v; want the kernel of the cache, and nothing logged", err, logged)
		}
	})
	t.Run("old lists when the archive is gone", func(t *testing.T) {
		logged = nil
		hidden := a.dir + ".away"
		if err := os.Rename(filepath.Join(a.dir, "pool"), hidden); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(hidden, filepath.Join(a.dir, "pool"))
		broken := opts
		broken.MaxAge = time.Nanosecond
		nothing := from(filepath.Join(a.dir, "nothing.list"))
		for range 2 { // the second time without an attempt
			if k, err := nothing.Resolve(t.Context(), "apt:bookworm", broken); err != nil || k.Fresh() {
				t.Errorf("got error %v, or a new kernel", err)
			}
		}
		if len(logged) != 1 || !strings.Contains(logged[0], "use the old package lists of bookworm") {
			t.Errorf("got log %q, want use the old package lists of bookworm", logged)
		}
	})
	t.Run("a newer version after a refresh", func(t *testing.T) {
		a.suite(t, "bookworm-security", "Debian", meta("6.1.193-1", "linux-image-"+rel), image("6.1.193-1"))
		for _, p := range []string{"6.1.192-1", "6.12.9-1"} {
			m, _ := filepath.Glob(filepath.Join(a.dir, "pool/bookworm-security/*_"+p+"_amd64.deb"))
			for _, f := range m {
				os.Remove(f)
			}
		}
		other := testOptions(t) // nothing unpacked, with the old lists
		if err := os.CopyFS(filepath.Join(other.Cache.Dir(), "apt"), os.DirFS(filepath.Join(opts.Cache.Dir(), "apt"))); err != nil {
			t.Fatal(err)
		}
		k, err := list.Resolve(t.Context(), "apt:bookworm", other)
		if err != nil || k.Version != "6.1.193" {
			t.Errorf("got %v, error %v; want version 6.1.193", k, err)
		}
	})
	for spec, want := range map[string]string{
		"apt:bookwrm":                   `the archive of the machine's apt sources has no suite "bookwrm"; did you mean "bookworm"`,
		"apt:bookworm/linux-imag-amd64": `did you mean "linux-image-amd64"`,
		"apt:bookworm/6.13":             "available are 6.1, 6.12",
		"apt:bookworm/linux-image-9*":   "no kernel package matches",
		"apt:bookworm/linux-base":       "neither is a kernel nor depends on one",
		"apt:linux-image-nope-amd64":    "no kernel package named",
	} {
		_, err := list.Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
	}
	if exists(filepath.Join(opts.Cache.Dir(), "apt", "bookwrm")) {
		t.Error("an unknown suite leaves its state in the cache")
	}
	t.Run("Available", func(t *testing.T) {
		offers, err := list.Offers(t.Context(), "", opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range offers {
			got = append(got, fmt.Sprint(o.Spec, " ", o.Version, " ", o.Cached))
		}
		want := "apt:bookworm 6.1.192-1 true, apt:bookworm/6.12 6.12.9-1 true"
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("got %s\nwant %s", g, want)
		}
	})
}

func TestAptErrors(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", "Other", image("6.1.192-1"))
	a.suite(t, "trixie", "Debian", debian{"linux-image-amd64", "7.3.4-1", "linux-image-7.3.4-amd64 (= 7.3.4-1)", files{"x": "x"}})
	files{
		"unsigned.list": fmt.Sprintf("deb file:%s trixie main\n", a.dir),
		"foreign.list":  fmt.Sprintf("deb [signed-by=/usr/share/keyrings/vendor.gpg] file:%s bookworm main\n", a.dir),
	}.in(t, a.dir)
	for name, c := range map[string]struct{ spec, sources, want string }{
		"another's suite":      {"apt:bookworm", a.sources, "with Origin Debian or Ubuntu"},
		"a dependency is gone": {"apt:trixie", a.sources, "no package list of trixie has linux-image-7.3.4-amd64 7.3.4-1"},
		"not signed":           {"apt:trixie", filepath.Join(a.dir, "unsigned.list"), "debian-archive-keyring"},
		"no Debian source":     {"apt:trixie", filepath.Join(a.dir, "foreign.list"), "none of them is Debian's"},
		"no security archive":  {"apt:trixie-security", filepath.Join(a.dir, "unsigned.list"), "none of the machine's apt sources is Debian's security archive"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			_, err := from(c.sources).Resolve(t.Context(), c.spec, opts)
			var spec *kernels.SpecError
			if err == nil || errors.As(err, &spec) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an infrastructure error with %q", err, c.want)
			}
		})
	}
}
