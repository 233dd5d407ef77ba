package source

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
)

// repository makes a repository with createrepo_c, and serves it. The image of a kernel is in
// kernel-core, its modules in kernel-modules; kernel has no files.
func repository(t *testing.T, versions ...string) (url, dir string) {
	t.Helper()
	needs(t, "rpmbuild", "createrepo_c")
	dir = t.TempDir()
	add := func(name, version string, content files) {
		work := t.TempDir()
		p, err := fake.RPM(t.Context(), work, name, version, "x86_64", content.in(t, filepath.Join(work, "files")), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(p, filepath.Join(dir, filepath.Base(p))); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range versions {
		core, modules := files{}, files{}
		for name, text := range fedora() {
			if strings.HasSuffix(name, ".ko") {
				modules[name] = text
			} else {
				core[name] = text
			}
		}
		core["usr/share/version"] = v
		add("kernel-core", v, core)
		add("kernel-modules", v, modules)
		add("kernel", v, files{"usr/share/doc/kernel-" + v: "x"})
		add("kernel-debug-core", v, files{"usr/share/doc/debug-" + v: "x"})
	}
	add("bash", "5.2-1", files{"usr/share/doc/bash": "x"})
	if out, err := exec.Command("createrepo_c", dir).CombinedOutput(); err != nil {
		t.Fatalf("createrepo_c: %v: %s", err, out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL, dir
}

// A kernel from a repository is that of the same files in a directory, with all of its
// packages.
func TestRPMRepository(t *testing.T) {
	needs(t, "depmod")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	url, dir := repository(t, "6.1.9-1", "6.1.192-1")
	for pattern, version := range map[string]string{
		"kernel-core": "6.1.192-1", "kernel": "6.1.192-1", "kernel-core-6.1.9-1": "6.1.9-1", "kernel-6.1.9": "6.1.9-1",
		"kernel-core-6.1.*": "6.1.192-1", "kernel-core-6.1.9-1.x86_64": "6.1.9-1",
	} {
		k, err := Resolve(t.Context(), "rpmrepo:"+url+"/"+pattern, testOptions(t))
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		packages := []kernels.Package{{Name: "kernel-core", Version: version}, {Name: "kernel-modules", Version: version}}
		if k.Digest != want.Digest || !slices.Equal(k.Packages, packages) || k.Name != rel+" (rpmrepo:kernel-core)" {
			t.Errorf("%s: got %+v, want that of %+v", pattern, k, want)
		}
	}
	for spec, want := range map[string]string{
		"rpmrepo:" + url + "/kernel-cor":      `no package kernel-cor for x86_64 in the repository; did you mean "kernel-core"?`,
		"rpmrepo:" + url + "/kernel-core-6.2": `did you mean "kernel-core-6.1.9-1"`,
		"rpmrepo:" + url + "/kernel-*core":    "kernel-*core matches more than one package: kernel-core, kernel-debug-core; give one of them",
		"rpmrepo:" + url + "/kernel-modules":  "no package kernel-modules",
		"rpmrepo:" + url + "/qqqqqqqqqqqqqqq": "list the kernels of the repository with faultline list kernels",
		"rpmrepo:" + url + "/none/kernel":     "/none/repodata/repomd.xml: the server answers 404 Not Found; give the folder that has repodata/repomd.xml",
		"rpmrepo:" + url + "/bash":            "no kernel image in it",
		"rpmrepo:kernel-core":                 "no URL of a repository and package; write rpmrepo:URL/PACKAGE",
		"rpmrepo:" + url + "/":                "no URL of a repository and package",
		"rpmrepo:" + url + "/[":               "the pattern \"[\" is malformed",
	} {
		_, err := Resolve(t.Context(), spec, testOptions(t))
		wantSpecError(t, err, want)
	}

	offers, err := All().Offers(t.Context(), "rpmrepo:"+url, testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	var specs []string
	for _, o := range offers {
		specs = append(specs, o.Spec)
	}
	if want := []string{"rpmrepo:" + url + "/kernel-core-6.1.9-1", "rpmrepo:" + url + "/kernel-core-6.1.192-1"}; !slices.Equal(specs, want) {
		t.Errorf("got offers %v, want %v", specs, want)
	}
	if few, err := All().Offers(t.Context(), "rpmrepo:"+url+"/kernel-core-6.1.9*", testOptions(t)); err != nil || len(few) != 1 || few[0] != offers[0] {
		t.Errorf("with a pattern: got %v, error %v; want %v", few, err, offers[0])
	}
	for place, want := range map[string]string{
		"rpmrepo:x":             "rpmrepo:x: no URL of a repository; write rpmrepo:URL",
		"rpmrepo:":              "not a suite or repository; write apt:SUITE, rpmrepo:URL or dir:FOLDER/*",
		"dir:/":                 "not a pattern; for the kernels in a folder write dir:FOLDER/*",
		"rpmrepo:" + url + "/x": "the server answers 404 Not Found",
	} {
		_, err := All().Offers(t.Context(), place, testOptions(t))
		wantSpecError(t, err, want)
	}

	// A package that is not the one of the list.
	p := filepath.Join(dir, "kernel-core-6.1.9-1.x86_64.rpm")
	if err := os.WriteFile(p, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Resolve(t.Context(), "rpmrepo:"+url+"/kernel-core-6.1.9-1", testOptions(t))
	wantSpecError(t, err, "kernel-core-6.1.9-1.x86_64.rpm has the digest sha256=")
}

// Damaged and hostile repositories are errors of the request.
func TestHostileRepositories(t *testing.T) {
	sum := strings.Repeat("0", 64)
	repomd := func(href, kind string) string {
		return `<repomd><data type="primary"><checksum type="` + kind + `">` + sum + `</checksum><location href="` + href + `"/></data></repomd>`
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", " is not XML, or is damaged: "},
		"HTML":             {"<html>login<br></html>", " is not XML, or is damaged: "},
		"no list":          {"<repomd></repomd>", "lists no packages"},
		"a local file":     {repomd("file:///etc/passwd", "sha256"), "the repository has a file at file:///etc/passwd"},
		"no name":          {repomd("", "sha256"), "the repository has a file without a valid name"},
		"no SHA-256":       {repomd("repodata/p.xml", "sha1"), `the repository has no digest of repodata/p.xml that can be checked, only "sha1"`},
		"another digest":   {repomd("repodata/repomd.xml", "sha256"), "repomd.xml has the digest sha256="},
		"not there":        {repomd("repodata/p.xml", "sha256"), "the server answers 404 Not Found"},
		"a password":       {repomd("http://u:p@host/x", "sha256"), "the URL has a user name or password"},
		"endless elements": {strings.Repeat("<a>", 100_000), " is not XML, or is damaged: "},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, map[string]string{"/repodata/repomd.xml": c.text})
			opts := testOptions(t)
			_, err := Resolve(t.Context(), "rpmrepo:"+url+"/kernel-core", opts)
			wantSpecError(t, err, c.want)
			if left, _ := filepath.Glob(filepath.Join(opts.Cache.Dir(), "kernel", "*")); len(left) > 0 {
				t.Errorf("got %v left, want none", left)
			}
		})
	}
}

// With keys, a repository whose index is not signed with one of them is refused.
func TestSignedRepository(t *testing.T) {
	us, armored := keys(t, true)
	others, plain := keys(t, false)
	url, dir := repository(t, "6.1.192-1")
	index := filepath.Join(dir, "repodata", "repomd.xml")
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(by *openpgp.Entity, data []byte) {
		t.Helper()
		var b bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&b, by, bytes.NewReader(data), nil); err != nil {
			t.Fatal(err)
		}
		files{"repomd.xml.asc": b.String()}.in(t, filepath.Dir(index))
	}
	spec := "rpmrepo:" + url + "/kernel-core?key="
	refused := func(spec, want string) {
		t.Helper()
		_, err := Resolve(t.Context(), spec, testOptions(t))
		wantSpecError(t, err, want)
	}
	refused(spec+armored, "the repository is not signed: ")
	sign(us, text)
	k, err := Resolve(t.Context(), spec+armored, testOptions(t))
	if err != nil || k.Release != rel {
		t.Errorf("got %v, error %v; want kernel %s", k, err, rel)
	}
	for _, place := range []string{"rpmrepo:" + url + "?key=", "rpmrepo:" + url + "/kernel-*?key="} {
		offers, err := All().Offers(t.Context(), place+armored, testOptions(t))
		if err != nil || len(offers) != 1 || offers[0].Spec != "rpmrepo:"+url+"/kernel-core-6.1.192-1?key="+armored {
			t.Errorf("%s: got %v, error %v; want kernel-core with the key", place, offers, err)
		}
		_, err = All().Offers(t.Context(), place+plain, testOptions(t))
		wantSpecError(t, err, "the signature cannot be verified with "+plain)
	}
	offers, ok, err := All().Matching(t.Context(), "rpmrepo:"+url+"/kernel-*?key="+plain, testOptions(t))
	if !ok || len(offers) > 0 {
		t.Errorf("with other keys: got %v, a pattern %t; want none, true", offers, ok)
	}
	wantSpecError(t, err, "the signature cannot be verified with "+plain)
	refused(spec+plain, "the signature cannot be verified with "+plain)
	refused(spec+"/nowhere", "read public keys: open /nowhere: no such file or directory; give the repository's keys")
	refused(spec+index, "read the public keys in "+index)
	sign(others, text)
	refused(spec+armored, "the signature cannot be verified")
	sign(us, append([]byte(" "), text...))
	refused(spec+armored, "the signature cannot be verified")
	files{"repomd.xml.asc": "no signature"}.in(t, filepath.Dir(index))
	refused(spec+armored, "the signature cannot be verified")
}
