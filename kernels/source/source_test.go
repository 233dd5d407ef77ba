package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/apt"
	"github.com/faultline/faultline/kernels/source/deb"
	"github.com/faultline/faultline/kernels/source/dir"
)

// files maps a path to its content.
type files map[string]string

func (f files) in(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range f {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (f files) and(more files) files {
	all := files{}
	for _, m := range []files{f, more} {
		for k, v := range m {
			if v != "" {
				all[k] = v
			} else {
				delete(all, k)
			}
		}
	}
	return all
}

func bzImage(release, version string, pvh bool) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(fake.Vmlinux(release, version, pvh))
	w.Close()
	return string(fake.BzImage(release, b.Bytes()))
}

const (
	rel    = "6.1.0-56-amd64"
	config = "CONFIG_MODULES=y\nCONFIG_64BIT=y\nCONFIG_EXT4_FS=m\n"
)

// modulesOf returns the modules of a release, below a directory.
func modulesOf(dir, release string) files {
	return files{
		dir + "/kernel/fs/ext4.ko":  string(fake.Module("ext4", release, "softdep=pre: crc32c")),
		dir + "/kernel/fs/jbd2.ko":  string(fake.Module("jbd2", release)),
		dir + "/kernel/crc32c_x.ko": string(fake.Module("crc32c_x", release, "alias=crc32c")),
		dir + "/modules.order":      "kernel/fs/jbd2.ko\nkernel/fs/ext4.ko\nkernel/crc32c_x.ko\n",
		dir + "/modules.builtin":    "kernel/drivers/virtio/virtio.ko\n",
	}
}

// usual returns a directory with everything that a kernel needs.
func usual() files {
	return files{"vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true), "config-" + rel: config}.and(modulesOf("lib/modules/"+rel, rel))
}

func needs(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := execx.Find(n, ""); err != nil {
			t.Skip(err)
		}
	}
}

// from returns all sources; apt's is read from a file.
func from(file string) List { return List{apt.Source(file), deb.Source(), dir.Source()} }

func testOptions(t *testing.T) kernels.Options {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache [1]")) // not to be used as a pattern
	if err != nil {
		t.Fatal(err)
	}
	return kernels.Options{Cache: c, Log: t.Logf}
}

// leftBehind lists the files in the cache except locks.
func leftBehind(t *testing.T, o kernels.Options) []string {
	t.Helper()
	all, err := fs.Glob(os.DirFS(o.Cache.Dir()), "*/*")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, p := range all {
		if filepath.Ext(p) != ".lock" {
			left = append(left, p)
		}
	}
	return left
}

func TestSettings(t *testing.T) {
	for spec, want := range map[string]string{
		"dir:x?colour=red":            `unknown parameter "colour"; the only parameter is config`,
		"dir:x?confg=a":               `did you mean "config"?`,
		"dir:x?config=":               "config is empty",
		"dir:x?config=a&config=b":     "config is given twice",
		"dir:x?config=%zz":            "the value of config",
		"dir:?config=a":               "no folder given",
		"deb:a.deb,?":                 "",
		"apt:linux-image-6.1?*-amd64": "",
		"dir:what?":                   "",
		"dir:what?/a=b":               "",
	} {
		err := All().Check(spec)
		if want == "" && err != nil {
			t.Errorf("%s: got %v, want no error", spec, err)
		} else if want != "" {
			wantSpecError(t, err, want)
		}
	}
	dir := usual().in(t, t.TempDir())
	_, err := Resolve(t.Context(), "dir:"+dir+"?config=/nowhere", testOptions(t))
	wantSpecError(t, err, "no file /nowhere")
}

func wantSpecError(t *testing.T, err error, want string) {
	t.Helper()
	var spec *kernels.SpecError
	if !errors.As(err, &spec) || !strings.Contains(err.Error(), want) || spec.Hint == "" || spec.What == "" {
		t.Errorf("got %v, want a kernels.SpecError with %q", err, want)
	}
}

func TestSpecErrors(t *testing.T) {
	opts := testOptions(t)
	file := filepath.Join(t.TempDir(), "some.deb")
	files{"some.deb": "x"}.in(t, filepath.Dir(file))
	for spec, want := range map[string]string{
		"bookworm":           "no scheme",
		"aptt:bookworm":      `did you mean "apt"?`,
		"git:x":              "write one such as apt:bookworm",
		filepath.Dir(file):   "write dir:" + filepath.Dir(file),
		file:                 "write deb:" + file,
		"apt:Bookworm":       "invalid suite name",
		"apt:":               "no suite",
		"deb:":               "empty file name",
		"deb:a.deb,":         "empty file name",
		"deb:/nowhere/a.deb": "no such file",
		"deb:" + file:        "not a Debian package",
		"dir:":               "no folder",
		"dir:/nowhere":       "no such file",
		"dir:" + file:        "some.deb: neither a bzImage nor an x86-64 vmlinux",
	} {
		_, err := Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
	}
	if left := leftBehind(t, opts); len(left) > 0 {
		t.Errorf("got %v left in the cache, want none", left)
	}
}

// pack builds a package file and returns its path.
func pack(t *testing.T, dir, name, version, depends string, content files) string {
	t.Helper()
	return packBy(t, "none", dir, name, version, depends, content)
}

// packBy is pack with a compression.
func packBy(t *testing.T, compression, dir, name, version, depends string, content files) string {
	t.Helper()
	needs(t, "dpkg-deb")
	root := t.TempDir()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n", name, version)
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	content.and(files{"DEBIAN/control": control}).in(t, root)
	file := filepath.Join(dir, name+"_"+version+"_amd64.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+compression, "--build", root, file).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb --build: %v\n%s", err, out)
	}
	return file
}

// unsplit, and the parts of a split kernel, as in Debian's packages.
func unsplit(release, version string) files {
	return files{"boot/vmlinuz-" + release: bzImage(release, version, true), "boot/config-" + release: config,
		"boot/System.map-" + release: "x"}.and(modulesOf("lib/modules/"+release, release))
}

func split(release, version string) map[string]files {
	dir := "usr/lib/modules/" + release
	m := modulesOf(dir, release)
	return map[string]files{
		"linux-image-":   {"usr/share/doc/x": "empty"},
		"linux-binary-":  {dir + "/vmlinuz": bzImage(release, version, true)},
		"linux-modules-": m.and(files{dir + "/modules.order": "", dir + "/modules.builtin": ""}),
		"linux-base-":    {dir + "/config": config, dir + "/modules.order": m[dir+"/modules.order"], dir + "/modules.builtin": m[dir+"/modules.builtin"]},
	}
}

func TestDeb(t *testing.T) {
	needs(t, "depmod", "dpkg-deb")
	dir, opts := t.TempDir(), testOptions(t)
	one := pack(t, dir, "linux-image-"+rel, "6.1.192-1", "", unsplit(rel, "6.1.192-1"))
	k, err := Resolve(t.Context(), "deb:"+one, opts)
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != rel || k.Version != "6.1.192" || len(k.Packages) != 1 || k.Packages[0].Version != "6.1.192-1" || k.Config.Get("EXT4_FS") != "m" {
		t.Errorf("got %+v, want release %s, version 6.1.192, one package 6.1.192-1, EXT4_FS=m", k, rel)
	}
	if k.Name != "6.1.192 (deb:linux-image-"+rel+"_6.1.192-1_amd64.deb)" {
		t.Errorf("got name %q, want 6.1.192 and the file", k.Name)
	}
	if again, err := Resolve(t.Context(), "deb:"+one, opts); err != nil || again.Fresh() {
		t.Errorf("second time: got error %v, or it unpacked again", err)
	}

	k1 := k
	const rel7 = "7.3.4+deb13-amd64"
	debs := map[string]string{}
	for prefix, content := range split(rel7, "7.3.4-1") {
		debs[prefix] = pack(t, dir, prefix+rel7, "7.3.4-1", "", content)
	}
	k, err = Resolve(t.Context(), "deb:"+debs["linux-binary-"]+","+debs["linux-modules-"]+","+debs["linux-base-"], opts)
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != rel7 || k.Version != "7.3.4" || k.ModulesDir == "" || !strings.HasSuffix(k.Name, "+2)") {
		t.Errorf("got %+v, want release %s, version 7.3.4, modules, and +2 in the name", k, rel7)
	}

	// Ubuntu's packages: the image, and the modules with the configuration, in each
	// compression that dpkg-deb knows.
	modules := modulesOf("lib/modules/"+rel, rel).and(files{"boot/config-" + rel: config})
	extra := files{"lib/modules/" + rel + "/kernel/mm/hwpoison-inject.ko": string(fake.Module("hwpoison-inject", rel))}
	for _, compression := range []string{"gzip", "xz", "zstd"} {
		image := packBy(t, compression, dir, "linux-image-unsigned-"+rel, "6.1.0-56.56", "", files{"boot/vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true)})
		spec := "deb:" + image + "," + packBy(t, compression, dir, "linux-modules-"+rel, "6.1.0-56.56", "", modules)
		whole, err := Resolve(t.Context(), spec, opts)
		if err != nil || whole.Digest != k1.Digest {
			t.Errorf("%s: got %+v, %v, want that of %+v", compression, whole, err, k1)
		}
		more, err := Resolve(t.Context(), spec+","+packBy(t, compression, dir, "linux-modules-extra-"+rel, "6.1.0-56.56", "", extra), opts)
		if err != nil || len(more.Packages) != 3 || more.Digest == k1.Digest {
			t.Errorf("%s: with more modules: got %+v, error %v; want 3 packages, and another digest", compression, more, err)
		}
	}

	data, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.deb")
	damaged := filepath.Join(dir, "damaged.deb")
	files{"cut.deb": string(data[:len(data)/2]), "damaged.deb": strings.Replace(string(data), "ustar", "UsTaR", -1)}.in(t, dir)
	before := leftBehind(t, opts)
	for spec, want := range map[string]string{
		cut:                   "truncated: data.tar has",
		damaged:               "download the package again",
		debs["linux-image-"]:  "linux-modules-" + rel7 + " and linux-base-" + rel7 + " together",
		debs["linux-binary-"]: "given without linux-modules-" + rel7,
		one + "," + debs["linux-binary-"] + "," + debs["linux-modules-"] + "," + debs["linux-base-"]: "give the packages or the archive of one kernel",
		pack(t, dir, "linux-doc", "1", "", files{"usr/share/doc/x": "x"}):                            "no kernel image",
		pack(t, dir, "linux-image-x", "1", "", files{"boot/vmlinuz-x": "not one"}):                   "neither a bzImage nor",
	} {
		_, err := Resolve(t.Context(), "deb:"+spec, opts)
		wantSpecError(t, err, want)
	}
	if after := leftBehind(t, opts); len(after) != len(before) {
		t.Errorf("got %v left in the cache, want %d, as before", after, len(before))
	}
}

func TestCancelled(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	opts := testOptions(t)
	_, err := Resolve(ctx, "dir:"+usual().in(t, t.TempDir()), opts)
	var spec *kernels.SpecError
	if !errors.Is(err, why) || errors.As(err, &spec) {
		t.Errorf("got %v, want the cause", err)
	}
	if left := leftBehind(t, opts); len(left) > 0 {
		t.Errorf("got %v left in the cache, want none", left)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
