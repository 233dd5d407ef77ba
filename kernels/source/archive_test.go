package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
)

// tarOf returns a tar archive of files, and of items that are written after them.
func tarOf(t *testing.T, content files, more ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, text string) {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range content {
		add(tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}, text)
	}
	for _, h := range more {
		add(h, "")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file writes a file with this content and returns its path.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// compressed returns data as a writer of a compression format leaves it.
func compressed(t *testing.T, data []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// moved returns files below another directory.
func (f files) moved(prefix string) files {
	out := files{}
	for name, text := range f {
		out[prefix+name] = text
	}
	return out
}

// fedora is the layout of Red Hat's packages, and suse that of SUSE's: everything is in the
// directory of the modules.
func fedora() files {
	out := modulesOf(".", rel).moved("lib/modules/" + rel + "/")
	out["lib/modules/"+rel+"/vmlinuz"], out["lib/modules/"+rel+"/config"] = bzImage(rel, "6.1.192-1", true), config
	return out
}

func suse() files { return fedora().moved("usr/") }

// The same files in a directory, and in tar archives of any compression and layout, are the
// same kernel.
func TestTar(t *testing.T) {
	needs(t, "depmod")
	opts := testOptions(t)
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), opts)
	if err != nil {
		t.Fatal(err)
	}
	plain := tarOf(t, usual().moved("./"))
	for name, data := range map[string][]byte{
		"k.tar":       plain,
		"k.tar.gz":    compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
		"k.tar.xz":    compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }),
		"k.tar.zst":   compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
		"fedora":      tarOf(t, fedora()),
		"suse":        tarOf(t, suse().moved("/")),
		"in a folder": tarOf(t, usual().moved("tar-install/boot/").and(modulesOf("tar-install/lib/modules/"+rel, rel))),
		"a link": tarOf(t, modulesOf("lib/modules/"+rel, rel).and(files{"boot/vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true), "boot/config-" + rel: config}),
			tar.Header{Name: "vmlinuz", Typeflag: tar.TypeSymlink, Linkname: "/boot/vmlinuz-" + rel}),
		"a hard link": tarOf(t, usual(), tar.Header{Name: "boot/vmlinuz", Typeflag: tar.TypeLink, Linkname: "./vmlinuz-" + rel}),
		"other files": tarOf(t, usual().and(files{"usr/share/doc/vmlinuz": "no kernel", "etc/passwd": "x", "../../outside": "x"})),
	} {
		t.Run(name, func(t *testing.T) {
			at := file(t, name, data)
			k, err := Resolve(t.Context(), "tar:"+at, testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			if k.Digest != want.Digest || k.Release != rel || k.Version != want.Version || k.Name != rel+" (tar:"+name+")" {
				t.Errorf("got %+v, want that of %+v", k, want)
			}
			if got, err := os.ReadDir(filepath.Dir(at)); err != nil || len(got) != 1 {
				t.Errorf("beside the archive: got %v, error %v; want the archive alone", got, err)
			}
		})
	}
}

// claims returns the beginning of an archive, with a file that claims a size.
func claims(t *testing.T, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: size}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noEnd returns a tar archive without the two blocks at its end.
func noEnd(data []byte) []byte { return data[:len(data)-1024] }

// flipped returns data with another bit in its middle, within the content of a file.
func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	data[bytes.Index(data, []byte("license=GPL"))] ^= 1
	return data
}

// A damaged or hostile archive is an error of the request, or a kernel without the parts
// that would be outside of it. Nothing is left behind, and nothing is written elsewhere.
func TestTarHostile(t *testing.T) {
	needs(t, "depmod")
	secret := file(t, "secret", []byte(config))
	outside := filepath.Join(t.TempDir(), "outside")
	plain := tarOf(t, usual())
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
	}
	noConfig := usual()
	delete(noConfig, "config-"+rel)
	half := func(data []byte) []byte { return data[:len(data)/2] }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":                 {nil, " is empty; get the tar archive again"},
		"no archive":            {[]byte(strings.Repeat("x", 4096)), "cannot unpack "},
		"without its end":       {noEnd(plain), "cannot unpack "},
		"cut between files":     {noEnd(tarOf(t, files{"boot/vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true)})), "cannot unpack "},
		"cut":                   {plain[:len(plain)*2/3], "cannot unpack "},
		"cut gzip":              {half(compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })), "cannot unpack "},
		"cut zstd":              {half(compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })), "cannot unpack "},
		"no kernel":             {tarOf(t, files{"etc/passwd": "x"}), "no kernel image in it"},
		"a link out":            {tarOf(t, noConfig, link("config-"+rel, secret)), "it has no kernel configuration"},
		"a climbing link":       {tarOf(t, noConfig, link("config-"+rel, strings.Repeat("../", 30)+strings.TrimPrefix(secret, "/"))), "it has no kernel configuration"},
		"links to links":        {tarOf(t, noConfig, link("boot", ".."), link("config-"+rel, "boot/../../../../../../.."+secret)), "it has no kernel configuration"},
		"a loop":                {tarOf(t, noConfig, link("config-"+rel, "config-"+rel)), "it has no kernel configuration"},
		"a hard link out":       {tarOf(t, noConfig, tar.Header{Name: "config-" + rel, Typeflag: tar.TypeLink, Linkname: secret}), "cannot unpack "},
		"a file through links":  {tarOf(t, files{}, link("boot", filepath.Dir(outside)), tar.Header{Name: "boot/outside", Typeflag: tar.TypeReg}), "cannot unpack "},
		"a device":              {tarOf(t, noConfig, tar.Header{Name: "config-" + rel, Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}), "it has no kernel configuration"},
		"a hard link to a link": {tarOf(t, noConfig, link("boot/x", secret), tar.Header{Name: "boot/config-" + rel, Typeflag: tar.TypeLink, Linkname: "boot/x"}), "boot/config-" + rel + ": it is a hard link to boot/x, which is not a file"},
		"a huge file":           {claims(t, "boot/x", 20<<30), "it unpacks to more than 16 GiB"},
		"a flipped bit":         {flipped(compressed(t, plain, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.NoCompression) })), "cannot unpack "},
		"a file as directory":   {tarOf(t, files{"boot": "x"}, tar.Header{Name: "boot/vmlinuz", Typeflag: tar.TypeReg}), "cannot unpack "},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			at := file(t, "k.tar", c.data)
			_, err := Resolve(t.Context(), "tar:"+at, opts)
			wantSpecError(t, err, c.want)
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("got %v left behind, want none", left)
			}
			if exists(outside) {
				t.Error("a file was written outside")
			}
		})
	}
}

// An archive of some kilobytes can unpack to any size.
func TestTarOfZeros(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 16 GiB")
	}
	zip := func(data []byte) []byte {
		return compressed(t, data, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
	}
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{Name: "etc/zeros", Typeflag: tar.TypeReg, Mode: 0o644, Size: 70 << 30}); err != nil {
		t.Fatal(err)
	}
	frames := bytes.Repeat(zip(make([]byte, 64<<20)), 70<<30/(64<<20))
	_, err := Resolve(t.Context(), "tar:"+file(t, "k.tar", append(zip(head.Bytes()), frames...)), testOptions(t))
	wantSpecError(t, err, "it unpacks to more than 16 GiB; give the archive of one kernel, without debug information")
}

// rpmOf makes an rpm package.
func rpmOf(t *testing.T, name, arch string, content files, more string) string {
	t.Helper()
	needs(t, "rpmbuild")
	dir := t.TempDir()
	p, err := fake.RPM(t.Context(), dir, name, "6.1.192-1", arch, content.in(t, filepath.Join(dir, "files")), more)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rpm packages in the layouts of Red Hat and SUSE are the same kernel as a directory.
func TestRPM(t *testing.T) {
	needs(t, "depmod")
	want, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	core, modules := files{}, files{}
	for name, text := range fedora() {
		if strings.HasSuffix(name, ".ko") {
			modules[name] = text
		} else {
			core[name] = text
		}
	}
	coreRPM, modulesRPM := rpmOf(t, "kernel-core", "x86_64", core, ""), rpmOf(t, "kernel-modules", "x86_64", modules, "")
	linked := rpmOf(t, "kernel-default", "x86_64", suse().and(files{"boot/vmlinuz": "x"}),
		"ln -f %{buildroot}/usr/lib/modules/"+rel+"/vmlinuz %{buildroot}/boot/vmlinuz")
	for spec, packages := range map[string]int{"rpm:" + coreRPM + "," + modulesRPM: 2, "rpm:" + linked: 1} {
		k, err := Resolve(t.Context(), spec, testOptions(t))
		if err != nil {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if k.Digest != want.Digest || len(k.Packages) != packages || k.Packages[0].Version != "6.1.192-1" {
			t.Errorf("%s: got %+v, want that of %+v", spec, k, want)
		}
	}
	// Modules that no guest loads may be missing.
	for name, text := range core {
		core[name] = strings.ReplaceAll(text, "CONFIG_EXT4_FS=m", "CONFIG_60XX_WDT=m")
	}
	unused := rpmOf(t, "kernel-core", "x86_64", core, "")
	if _, err := Resolve(t.Context(), "rpm:"+unused, testOptions(t)); err != nil {
		t.Errorf("without modules that no guest loads: got %v, want no error", err)
	}

	intact, err := os.ReadFile(coreRPM)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(intact)
	for i := 110; i < 400; i += 3 {
		flipped[i] ^= 0xff
	}
	damaged := bytes.Clone(intact)
	damaged[len(damaged)-200] ^= 1
	arm := rpmOf(t, "kernel-core", "aarch64", core, "")
	for spec, want := range map[string]string{
		"rpm:" + file(t, "empty.rpm", nil):                     " is empty; get the rpm package again",
		"rpm:" + file(t, "text.rpm", []byte("no package")):     "text.rpm is not an rpm package; check where it comes from",
		"rpm:" + file(t, "cut.rpm", intact[:200]):              "cannot unpack ",
		"rpm:" + file(t, "cut.rpm", intact[:len(intact)*9/10]): "cannot unpack ",
		"rpm:" + file(t, "flipped.rpm", flipped):               "cannot unpack ",
		"rpm:" + file(t, "payload.rpm", damaged):               "digest mismatch",
		"rpm:" + modulesRPM:                                    "no kernel image in it; give the package or archive that contains vmlinuz",
		"rpm:" + coreRPM:                                       "is built with modules (CONFIG_EXT4_FS=m), but has none; give the package with its modules, too, such as kernel-modules",
		"rpm:" + arm:                                           "is for aarch64; give a package for x86_64",
		"rpm:" + t.TempDir():                                   "is a folder; write dir:",
		"rpm:/nowhere.rpm":                                     "cannot open /nowhere.rpm: no such file or directory; give the path of a readable rpm package",
		"rpm:" + coreRPM + ",":                                 "empty file name; write rpm:FILE|URL[,...]",
		"tar:/nowhere.tar":                                     "cannot open /nowhere.tar",
		"tar:":                                                 "empty file name; write tar:FILE|URL",
	} {
		opts := testOptions(t)
		_, err := Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
		if left := leftBehind(t, opts); len(left) > 0 {
			t.Errorf("%s: got %v left behind, want none", spec, left)
		}
	}
	var none kernels.Options
	if _, err := Resolve(t.Context(), "rpm:", none); err == nil {
		t.Error("a spec without files was accepted")
	}
}
