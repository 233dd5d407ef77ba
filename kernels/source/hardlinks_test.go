package source

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// item is an item of a tar archive, with its content.
type item struct {
	tar.Header
	text string
}

func regular(name, text string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}, text}
}

func hard(name, to string) item {
	return item{tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}, ""}
}

// tarWith returns a tar archive of items, in this order, and of files after them.
func tarWith(t *testing.T, content files, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		if err := w.WriteHeader(&i.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil { // without the end of the archive
		t.Fatal(err)
	}
	return append(b.Bytes(), tarOf(t, content)...)
}

// without returns files without one of them.
func (f files) without(name string) files { return f.and(files{name: ""}) }

// A hard link is its file, whatever the name of that is, and wherever it is in the archive.
func TestHardLinks(t *testing.T) {
	needs(t, "depmod", "dpkg-deb", "rpmbuild")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	const at = "boot/config-" + rel
	rest := usual().without("config-" + rel)
	dir := t.TempDir()
	link := func(root, old, name string) string { // as a shell command
		return "mkdir -p " + filepath.Dir(root+name) + " && ln -f " + root + old + " " + root + name
	}
	content := "CONFIG_WRONG=y\n"

	// The content of the last name is in an rpm package, and that of the first in a Debian one.
	kernel := "/usr/lib/modules/" + rel
	rpm := rpmOf(t, "kernel-default", "x86_64", suse().and(files{"usr/share/pool/config": config}),
		link("%{buildroot}", "/usr/share/pool/config", kernel+"/config"))
	debRoot := unsplit(rel, "6.1.192-1").and(files{"boot/config-" + rel: ""}).in(t, filepath.Join(dir, "deb"))
	files{"a/config": config, "DEBIAN/control": "Package: linux-image-" + rel +
		"\nVersion: 6.1.192-1\nArchitecture: amd64\nMaintainer: x <x@x>\nDescription: x\n"}.in(t, debRoot)
	deb := filepath.Join(dir, "k.deb")
	for _, command := range []string{link(debRoot, "/a/config", "/boot/config-"+rel), "dpkg-deb --build " + debRoot + " " + deb} {
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}

	server := httptest.NewServer(registry.New())
	defer server.Close()
	ref := strings.TrimPrefix(server.URL, "http://") + "/kernels/bootc:9"
	const object = "sysroot/ostree/repo/objects/1.file"
	push(t, ref, tarWith(t, rest, regular(object, config)), tarWith(t, files{}, hard(at, object)))

	modules := modulesOf("lib/modules/"+rel, rel)
	const jbd2 = "lib/modules/" + rel + "/kernel/fs/jbd2.ko"
	url, _ := serve(t, map[string]string{
		"/bzImage": bzImage(rel, "6.1.192-1", true), "/config": config,
		"/m.tar": string(tarWith(t, modules.without(jbd2), regular("boot/vmlinuz", content),
			regular("boot/config", modules[jbd2]), hard(jbd2, "boot/config"))),
	})

	in := func(name string, items ...item) string {
		return "tar:" + file(t, name, tarWith(t, rest, items...))
	}
	for name, spec := range map[string]string{
		"a kept file":               in("k.tar", regular("./"+at, config), hard("config", "./"+at)),
		"a skipped file":            in("k.tar", regular("pool/1", config), hard(at, "pool/1")),
		"two names":                 in("k.tar", regular("pool/1", config), hard("boot/x", "pool/1"), hard(at, "/pool/1")),
		"after the link":            in("k.tar", hard(at, "pool/1"), regular("pool/1", config)),
		"a kept file, after":        in("k.tar", hard(at, "boot/x"), regular("boot/x", config)),
		"not the first of its name": in("k.tar", regular("pool/1", content), hard(at, "pool/1"), regular(at, config)),
		"rpm":                       "rpm:" + rpm,
		"deb":                       "deb:" + deb,
		"layers of an image":        "oci:" + ref,
		"a modules archive":         "url:" + url + "/bzImage?modules=" + url + "/m.tar&config=" + url + "/config",
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			k, err := Resolve(t.Context(), spec, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if k.Digest != want.Digest {
				t.Errorf("got %+v, want that of %+v", k, want)
			}
			if n := len(k.Packages); n > 1 {
				t.Errorf("got %d packages, want 1", n)
			}
		})
	}
}

// Hard links that no file of the archive answers are refused, and nothing is written or read
// elsewhere.
func TestHardLinksHostile(t *testing.T) {
	needs(t, "depmod")
	secret := file(t, "secret", []byte(config))
	const at = "boot/config-" + rel
	rest := usual().without("config-" + rel)
	symbolic := func(name, to string) item {
		return item{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}, ""}
	}
	device := item{tar.Header{Name: "dev/mem", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 1}, ""}
	for name, c := range map[string]struct {
		items []item
		want  string
	}{
		"out of the archive": {[]item{hard(at, secret)}, "which the archive does not have; give an intact archive"},
		"climbs":             {[]item{hard(at, strings.Repeat("../", 30)+secret)}, "which the archive does not have"},
		"nothing":            {[]item{hard(at, "")}, "which the archive does not have"},
		"itself":             {[]item{hard(at, at)}, "a hard link to " + at + ", which is not a file"},
		"a skipped link":     {[]item{symbolic("pool/1", secret), hard(at, "pool/1")}, "to pool/1, which is not a file"},
		"a skipped hard link": {
			[]item{regular("pool/1", config), hard("pool/2", "pool/1"), hard(at, "pool/2")}, "to pool/2, which is not a file",
		},
		"a skipped device":     {[]item{device, hard(at, "dev/mem")}, "to dev/mem, which is not a file"},
		"a folder":             {[]item{{tar.Header{Name: "pool", Typeflag: tar.TypeDir}, ""}, hard(at, "pool")}, "to pool, which is not a file"},
		"a name that is taken": {[]item{regular("pool/1", config), hard(at, "pool/1"), symbolic(at, secret)}, "it has no kernel configuration"},
		"a file through a link": {
			[]item{symbolic("boot", filepath.Dir(secret)), regular("pool/1", "x"), hard("boot/secret", "pool/1")}, "cannot unpack ",
		},
		"endless folders": {[]item{regular("boot/"+strings.Repeat("a/", 100_000)+"x", "x")}, "it has a path of 200006 bytes, below 100001 folders"},
		"deep folders":    {[]item{regular("boot/"+strings.Repeat("a/", 100)+"x", "x")}, "it has a path of 206 bytes, below 101 folders"},
		"an endless name": {[]item{hard("boot/x", strings.Repeat("a", 1<<20-100))}, "it has a path of 1048476 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			_, err := Resolve(t.Context(), "tar:"+file(t, "k.tar", tarWith(t, rest, c.items...)), opts)
			wantSpecError(t, err, c.want)
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("got %v left behind, want none", left)
			}
			if got, err := os.ReadFile(secret); err != nil || string(got) != config {
				t.Errorf("the file outside: got %q, error %v; want it unchanged", got, err)
			}
		})
	}
}
