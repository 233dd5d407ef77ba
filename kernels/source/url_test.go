package source

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ulikunitz/xz"
)

// serve serves files, and counts the requests.
func serve(t *testing.T, content map[string]string) (url string, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		text, ok := content[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(text))))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A kernel by HTTP, as an image or as an archive or package, is that of the same files in a
// directory.
func TestURL(t *testing.T) {
	needs(t, "depmod", "dpkg-deb", "rpmbuild")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	modules := tarOf(t, modulesOf("lib/modules/"+rel, rel))
	packed := compressed(t, modules, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
	image, whole := bzImage(rel, "6.1.192-1", true), string(tarOf(t, usual()))
	deb := pack(t, t.TempDir(), "linux-image-"+rel, "6.1.192-1", "", unsplit(rel, "6.1.192-1"))
	rpm := rpmOf(t, "kernel-core", "x86_64", fedora(), "")
	other := tarOf(t, files{"vmlinuz": bzImage("6.12.1", "6.12.1-1", true), "boot/config-" + rel: "CONFIG_SWAP=y\n",
		"lib/modules/" + rel + "/config": "CONFIG_SWAP=y\n"}.and(modulesOf("lib/modules/"+rel, rel)))
	content := map[string]string{
		"/other.tar": string(other), "/bzImage.xz": string(compressed(t, []byte(image), func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })),
		"/of612":      "# Linux/x86 6.12.117 Kernel Configuration\n" + config,
		"/b1/bzImage": image, "/b1/modules.tar.xz": string(packed), "/b1/.config": config, "/b1/k.tar": whole, "/empty": "",
		"/k.deb": read(t, deb), "/k.rpm": read(t, rpm), "/text": "no kernel",
	}
	at, requests := serve(t, content)
	b1 := at + "/b1/"
	local := file(t, "my.config", []byte(config))
	sum := fmt.Sprintf("#sha256=%x", sha256.Sum256([]byte(image)))
	for spec, name := range map[string]string{
		"url:" + b1 + "bzImage?modules=" + b1 + "modules.tar.xz&config=" + b1 + ".config":   "url:b1/bzImage",
		"url:" + b1 + "bzImage" + sum + "?modules=" + b1 + "modules.tar.xz&config=" + local: "url:b1/bzImage",
		// An archive of modules replaces neither the image nor the configuration.
		"url:" + b1 + "bzImage?modules=" + at + "/other.tar&config=" + local:                 "url:b1/bzImage",
		"url:" + at + "/bzImage.xz?modules=" + at + "/other.tar&config=" + local:             "url:" + strings.TrimPrefix(at, "http://") + "/bzImage.xz",
		"url:" + b1 + "bzImage?token=1&modules=" + b1 + "modules.tar.xz&x=2&config=" + local: "url:b1/bzImage?token=1&x=2",
		"tar:" + b1 + "k.tar":  "tar:k.tar",
		"deb:" + at + "/k.deb": "deb:k.deb",
		"rpm:" + at + "/k.rpm": "rpm:k.rpm",
	} {
		opts := testOptions(t)
		k, err := Resolve(t.Context(), spec, opts)
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if k.Digest != want.Digest || !strings.HasSuffix(k.Name, " ("+name+")") || k.Spec != spec {
			t.Errorf("%s: got %+v, want that of %+v", spec, k, want)
		}
		before := requests.Load()
		if again, err := Resolve(t.Context(), spec, opts); err != nil || again.Fresh() {
			t.Errorf("%s: again: got error %v, made again %t; want neither", spec, err, err == nil && again.Fresh())
		}
		if n, asked := requests.Load()-before, int32(strings.Count(spec, at)-strings.Count(spec, "#")); n != asked {
			t.Errorf("%s: got %d requests for a kernel in the cache, want %d", spec, n, asked)
		}
	}

	for spec, want := range map[string]string{
		"url:" + b1 + "bzImage":                                                          "it has no kernel configuration; add ?config=URL",
		"url:" + b1 + "bzImage?modules=" + b1 + "modules.tar.xz":                         "it has no kernel configuration; add ?config=URL",
		"url:" + b1 + "bzImage?config=" + local:                                          "is built with modules, but has no modules folder; add ?modules=URL",
		"url:" + b1 + "bzImage?modules=" + b1 + "modules.tar.xz&config=" + at + "/of612": "the image is " + rel + ", but the configuration is of 6.12.117",
		"url:" + b1 + "none":                                                             "the server answers 404 Not Found; check the URL",
		"url:" + b1 + "bzImage?modules=" + b1 + "none&config=" + local:                   "the server answers 404 Not Found",
		"url:" + b1 + "bzImage?modules=" + b1 + ".config":                                "give a tar archive with lib/modules",
		"url:" + b1 + "bzImage?modules=" + b1 + "modules.tar.xz&config=/nowhere":         "cannot open /nowhere",
		"url:" + b1 + "k.tar":                                                            "is a tar archive; write tar:" + b1 + "k.tar",
		"url:" + at + "/k.deb":                                                           "is a Debian package; write deb:",
		"url:" + at + "/k.rpm":                                                           "is an rpm package; write rpm:",
		"url:" + b1 + "modules.tar.xz":                                                   "modules.tar.xz is a tar archive; write tar:",
		"url:" + at + "/empty":                                                           "/empty is empty; get the file again",
		"url:" + at + "/text?config=" + local:                                            "/text: neither a bzImage nor an x86-64 vmlinux; give a complete",
		"url:":                                                                           "no URL given; write url:URL",
		"url:/some/bzImage":                                                              "/some/bzImage is not a URL for a download",
		"url:" + b1 + "bzImage#sha256=1":                                                 "is not a digest",
		"url:" + b1 + "bzImage?modules=http://u:p@h/x":                                   "the URL has a user name or password",
		"rpm:http://u:p@h/x.rpm":                                                         "the URL has a user name or password",
		at + "/k.rpm":                                                                    "for a package write rpm:" + at + "/k.rpm",
		at + "/k.deb":                                                                    "for a package write deb:",
		b1 + "k.tar":                                                                     "for an archive write tar:",
		b1 + "bzImage":                                                                   "for a kernel image write url:",
	} {
		opts := testOptions(t)
		_, err := Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
	}

	// Another file under the same URL is another kernel.
	opts := testOptions(t)
	spec := "url:" + b1 + "bzImage?modules=" + b1 + "modules.tar.xz&config=" + b1 + ".config"
	first, err := Resolve(t.Context(), spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	content["/b1/.config"] = config + "CONFIG_SWAP=y\n"
	second, err := Resolve(t.Context(), spec, opts)
	if err != nil || second.Digest == first.Digest || second.Config.Get("SWAP") != "y" {
		t.Errorf("got %+v, error %v after the configuration changed; want another digest, SWAP=y", second, err)
	}
}
