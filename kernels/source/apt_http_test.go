package source

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/apt"
)

// keys makes a pair of keys, and a file with the public one, armored or not.
func keys(t *testing.T, armored bool) (*openpgp.Entity, string) {
	t.Helper()
	e, err := openpgp.NewEntity("archive", "", "archive@localhost", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if armored {
		w, err := pgparmor.Encode(&b, openpgp.PublicKeyType, nil)
		if err == nil {
			err = errors.Join(e.Serialize(w), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	} else if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return e, file(t, "debian-archive-test.key", b.Bytes())
}

// sign writes the InRelease file of a suite, with more fields.
func (a *archive) sign(t *testing.T, suite string, by *openpgp.Entity, more string) {
	t.Helper()
	release, err := os.ReadFile(filepath.Join(a.dir, "dists", suite, "Release"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := clearsign.Encode(&b, by.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, more, string(release))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files{"InRelease": b.String()}.in(t, filepath.Join(a.dir, "dists", suite))
}

// hideApt makes a PATH that has depmod, but neither apt nor dpkg.
func hideApt(t *testing.T) {
	t.Helper()
	depmod, err := exec.LookPath("depmod")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(depmod, filepath.Join(dir, "depmod")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
}

// On a machine without apt the same sources are read by HTTP. Everything is verified.
func TestAptByHTTP(t *testing.T) {
	a := newArchive(t)
	const rel612 = "6.12.9+deb12-amd64"
	a.suite(t, "bookworm", "Debian", meta("6.1.170-1", "linux-image-6.1.0-50-amd64"))
	a.suite(t, "bookworm-security", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"),
		debian{"linux-image-" + rel612, "6.12.9-1", "", unsplit(rel612, "6.12.9-1")})
	a.suite(t, "trixie-backports", "Debian Backports", splitKernel("7.3.4+deb13-amd64", "7.3.4-1")...)
	a.suite(t, "other", "Other", image("6.1.192-1"))
	specs := []string{
		"apt:bookworm", "apt:bookworm/6.12", "apt:linux-image-amd64", "apt:bookworm-security", "apt:trixie-backports/7.3",
	}
	byApt := map[string]string{}
	for _, spec := range specs {
		if spec == "apt:trixie-backports/7.3" {
			continue // split: apt reads it in another test
		}
		k, err := from(a.sources).Resolve(t.Context(), spec, testOptions(t))
		if err != nil {
			t.Fatal(err)
		}
		byApt[spec] = k.Digest
	}

	us, armored := keys(t, true)
	others, plain := keys(t, false)
	for _, suite := range []string{"bookworm", "bookworm-security", "trixie-backports", "other"} {
		a.sign(t, suite, us, "Acquire-By-Hash: no\nValid-Until: "+time.Now().UTC().Add(time.Hour).Format(time.RFC1123)+"\n")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
	t.Cleanup(server.Close)
	both, err := os.ReadFile(armored)
	if err != nil {
		t.Fatal(err)
	}
	inline := strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(string(both)), "\n\n", "\n.\n"), "\n", "\n ")
	machine := func(keys string) string {
		return file(t, "machine.sources", fmt.Appendf(nil,
			"Types: deb\nURIs: %[1]s/\nSuites: bookworm\nComponents: main\nSigned-By: %[2]s\n\n"+
				"Types: deb\nURIs: %[1]s\nSuites: bookworm-security\nComponents: main\nSigned-By: %[2]s\n", server.URL, keys))
	}
	sources := machine(armored)
	hideApt(t)
	for _, keys := range []string{armored, "\n " + inline} {
		opts := testOptions(t)
		list := from(machine(keys))
		for _, spec := range specs {
			k, err := list.Resolve(t.Context(), spec, opts)
			if err != nil {
				t.Fatalf("%s: %v", spec, err)
			}
			if want := byApt[spec]; want != "" && k.Digest != want {
				t.Errorf("%s: not the kernel that apt gets", spec)
			}
		}
		if left, err := os.ReadDir(filepath.Join(opts.Cache.Dir(), "download")); err == nil && len(left) > 0 {
			t.Errorf("got the downloads %v, want none kept", left)
		}
	}

	refused := func(name, spec, sources, want string, isRequest bool) {
		t.Helper()
		_, err := from(sources).Resolve(t.Context(), spec, testOptions(t))
		var request *kernels.SpecError
		if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &request) != isRequest {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	refused("no such suite", "apt:bookwrm", sources, `has no suite "bookwrm"; did you mean "bookworm"`, true)
	refused("another's suite", "apt:other", sources, "with Origin Debian", false)
	refused("other keys", "apt:bookworm", machine(plain), "signature can't be verified", false)
	refused("no keys", "apt:bookworm", machine("/nowhere/debian-archive-keyring.gpg"), "package debian-archive-keyring", false)
	refused("no http", "apt:bookworm", a.sources, "without apt-get only http and https", false)
	refused("no server", "apt:bookworm",
		file(t, "x.list", []byte("deb [trusted=yes] http://localhost:1/ bookworm main")), "check the network, the proxy and the mirror", false)
	a.sign(t, "bookworm", others, "")
	refused("signed by another", "apt:bookworm", sources, "signature can't be verified", false)
	release, err := os.ReadFile(filepath.Join(a.dir, "dists/bookworm/Release"))
	if err != nil {
		t.Fatal(err)
	}
	files{"InRelease": string(release)}.in(t, filepath.Join(a.dir, "dists/bookworm"))
	refused("not signed", "apt:bookworm", sources, "it is not signed", false)
	a.sign(t, "bookworm", us, "Valid-Until: "+time.Now().UTC().Add(-time.Hour).Format(time.RFC1123)+"\n")
	refused("expired", "apt:bookworm", sources, "the mirror is not updated any more", false)
	a.sign(t, "bookworm", us, "")
	inRelease := filepath.Join(a.dir, "dists/bookworm/InRelease")
	signed, err := os.ReadFile(inRelease)
	if err != nil {
		t.Fatal(err)
	}
	files{"InRelease": strings.Replace(string(signed), "Suite: bookworm", "Suite: bookwork", 1)}.in(t, filepath.Dir(inRelease))
	refused("changed", "apt:bookworm", sources, "signature can't be verified", false)
	files{"InRelease": "Origin: Debian\n\n" + string(signed)}.in(t, filepath.Dir(inRelease))
	refused("text before the signed one", "apt:bookworm", sources, "it is not signed", false)
	files{"InRelease": string(signed)}.in(t, filepath.Dir(inRelease))

	list := filepath.Join(a.dir, "dists/bookworm-security/main/binary-amd64/Packages")
	intact, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	files{"Packages": string(intact) + "\n"}.in(t, filepath.Dir(list))
	refused("a changed list", "apt:bookworm", sources, "has the digest sha256=", false)
	files{"Packages": string(intact)}.in(t, filepath.Dir(list))
	debs, err := filepath.Glob(filepath.Join(a.dir, "pool/bookworm-security/linux-image-"+rel+"_*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("got the packages %v, error %v; want 1", debs, err)
	}
	deb, err := os.ReadFile(debs[0])
	if err != nil {
		t.Fatal(err)
	}
	deb[len(deb)-1] ^= 1
	files{filepath.Base(debs[0]): string(deb)}.in(t, filepath.Dir(debs[0]))
	refused("a changed package", "apt:bookworm", sources, "has the digest sha256=", false)
	if err := os.Remove(debs[0]); err != nil {
		t.Fatal(err)
	}
	refused("a package is gone", "apt:bookworm", sources, "404 Not Found", false)
}

// A file of Faultline's own adds a source, on machines with and without apt.
func TestAptOwnSources(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "ours", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	us, public := keys(t, true)
	a.sign(t, "ours", us, "")
	server := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
	t.Cleanup(server.Close)
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	files{"faultline/apt.sources": fmt.Sprintf("Types: deb\nURIs: %s\nSuites: ours\nComponents: main\nSigned-By: %s\n", server.URL, public)}.in(t, config)
	check := func(t *testing.T) {
		k, err := List{apt.Source()}.Resolve(t.Context(), "apt:ours", testOptions(t))
		if err != nil || k.Release != rel {
			t.Errorf("got %v, error %v; want release %s", k, err, rel)
		}
	}
	t.Run("with apt", check)
	t.Run("without apt", func(t *testing.T) { hideApt(t); check(t) })
}

// A suite can come from several mirrors and sources, of which each has other kernels.
func TestAptTwoURIs(t *testing.T) {
	us, public := keys(t, true)
	const rel612 = "6.12.9+deb12-amd64"
	first, second := newArchive(t), newArchive(t)
	first.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	second.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"),
		debian{"linux-image-" + rel612, "6.12.9-1", "", unsplit(rel612, "6.12.9-1")})
	var urls []string
	for _, a := range []*archive{first, second} {
		a.sign(t, "bookworm", us, "")
		server := httptest.NewServer(http.FileServer(http.Dir(a.dir)))
		t.Cleanup(server.Close)
		urls = append(urls, server.URL)
	}
	const source = "Types: deb\nURIs: %s\nSuites: bookworm\nComponents: main\nSigned-By: %s\n\n"
	one := fmt.Sprintf(source, strings.Join(urls, " "), public)
	down := fmt.Sprintf(source, "http://127.0.0.1:1/ file:/nowhere "+strings.Join(urls, " "), public)
	two := fmt.Sprintf(source, urls[0], public) + fmt.Sprintf(source, urls[1], public)
	check := func(t *testing.T) {
		for _, text := range []string{one, two} {
			sources := from(file(t, "machine.sources", []byte(text)))
			for spec, want := range map[string]string{"apt:bookworm": rel, "apt:bookworm/6.12": rel612} {
				if k, err := sources.Resolve(t.Context(), spec, testOptions(t)); err != nil || k.Release != want {
					t.Errorf("%s: got %v, error %v; want release %s", spec, k, err, want)
				}
			}
		}
	}
	t.Run("with apt", check)
	t.Run("without apt", func(t *testing.T) { hideApt(t); check(t) })
	t.Run("a mirror is down", func(t *testing.T) {
		hideApt(t)
		sources := from(file(t, "machine.sources", []byte(down)))
		if k, err := sources.Resolve(t.Context(), "apt:bookworm/6.12", testOptions(t)); err != nil || k.Release != rel612 {
			t.Errorf("got %v, error %v; want release %s", k, err, rel612)
		}
	})
}
