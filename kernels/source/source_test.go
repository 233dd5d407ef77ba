package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/internal/tool"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/internal/fake"
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

// modulesOf are the modules of a release below a folder.
func modulesOf(dir, release string) files {
	return files{
		dir + "/kernel/fs/ext4.ko":  string(fake.Module("ext4", release, "softdep=pre: crc32c")),
		dir + "/kernel/fs/jbd2.ko":  string(fake.Module("jbd2", release)),
		dir + "/kernel/crc32c_x.ko": string(fake.Module("crc32c_x", release, "alias=crc32c")),
		dir + "/modules.order":      "kernel/fs/jbd2.ko\nkernel/fs/ext4.ko\nkernel/crc32c_x.ko\n",
		dir + "/modules.builtin":    "kernel/drivers/virtio/virtio.ko\n",
	}
}

// usual is a folder with all that a kernel needs.
func usual() files {
	return files{"vmlinuz-" + rel: bzImage(rel, "6.1.192-1", true), "config-" + rel: config}.and(modulesOf("lib/modules/"+rel, rel))
}

func needs(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := tool.Find(n, ""); err != nil {
			t.Skip(err)
		}
	}
}

// from is all sources, with apt's read from a file.
func from(file string) List { return List{apt.Source(file), deb.Source(), dir.Source()} }

func testOptions(t *testing.T) kernels.Options {
	t.Helper()
	c, err := cache.Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	return kernels.Options{Cache: c, Log: t.Logf}
}

// leftBehind lists what is in the cache but locks.
func leftBehind(t *testing.T, o kernels.Options) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(o.Cache.Dir(), "*", "*"))
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

func TestDir(t *testing.T) {
	needs(t, "depmod")
	opts := testOptions(t)
	dir := usual().in(t, t.TempDir())
	k, err := Resolve(t.Context(), "dir:"+dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	if k.Release != rel || k.Version != "6.1.0" || !k.PVH || filepath.Base(k.Image) != "vmlinux" ||
		!strings.HasSuffix(k.ModulesDir, "/lib/modules/"+rel) || k.Arch != "amd64" || len(k.Digest) != 64 {
		t.Errorf("%+v", k)
	}
	if k.Name != rel+" (dir:"+filepath.Base(dir)+")" {
		t.Errorf("name %q", k.Name)
	}
	if got := k.Lacks("EXT4_FS", "CONFIG_FS_DAX"); len(got) != 1 || got[0] != "CONFIG_FS_DAX" {
		t.Errorf("Lacks = %v", got)
	}
	mods, err := k.Modules("ext4", "virtio")
	var names []string
	for _, m := range mods {
		names = append(names, m.Name)
	}
	if got := strings.Join(names, " "); err != nil || got != "crc32c_x ext4" {
		t.Errorf("modules %q, %v", got, err)
	}
	if filepath.Base(k.BzImage()) != "vmlinuz" {
		t.Errorf("BzImage = %q", k.BzImage())
	}

	again, err := Resolve(t.Context(), "dir:"+dir, opts)
	if err != nil || again.Fresh() || again.Digest != k.Digest {
		t.Errorf("second time: built %v, %v", again.Fresh(), err)
	}
	// The same files elsewhere: another entry, the same kernel.
	other, err := Resolve(t.Context(), "dir:"+usual().in(t, t.TempDir()), opts)
	if err != nil || other.Digest != k.Digest {
		t.Errorf("the same files have another digest: %v", err)
	}
	changed, err := Resolve(t.Context(), "dir:"+usual().and(files{"config-" + rel: config + "CONFIG_X=y\n"}).in(t, t.TempDir()), opts)
	if err != nil || changed.Digest == k.Digest {
		t.Errorf("another configuration has the same digest: %v", err)
	}
}

func TestDirLayouts(t *testing.T) {
	needs(t, "depmod")
	image, elf := bzImage(rel, "6.1.192-1", true), string(fake.Vmlinux(rel, "6.1.192-1", true))
	for name, c := range map[string]struct {
		files   files
		image   string
		modules bool
	}{
		"as packages have it": {files{"boot/vmlinuz-" + rel: image, "boot/config-" + rel: config}.and(modulesOf("usr/lib/modules/"+rel, rel)), "vmlinux", true},
		"all in modules":      {files{"usr/lib/modules/" + rel + "/vmlinuz": image, "usr/lib/modules/" + rel + "/config": config}.and(modulesOf("usr/lib/modules/"+rel, rel)), "vmlinux", true},
		"modules directly":    {files{"vmlinuz": image, ".config": config}.and(modulesOf("modules", rel)), "vmlinux", true},
		"modules in the root": {files{"vmlinuz": image, "config": config}.and(modulesOf(".", rel)), "vmlinux", true},
		"a vmlinux":           {files{"vmlinux": elf, "config": config}.and(modulesOf("lib/modules/"+rel, rel)), "vmlinux", true},
		"no PVH note":         {files{"vmlinuz": bzImage(rel, "1", false), "config": config}.and(modulesOf("lib/modules/"+rel, rel)), "vmlinuz", true},
		"without modules":     {files{"vmlinuz": image, "config": "CONFIG_64BIT=y\n"}, "vmlinux", false},
		"another beside":      {usual().and(modulesOf("lib/modules/5.10.0", "5.10.0")), "vmlinux", true},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Resolve(t.Context(), "dir:"+c.files.in(t, t.TempDir()), testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(k.Image) != c.image || k.PVH != (c.image == "vmlinux") || (k.ModulesDir != "") != c.modules {
				t.Errorf("image %s, PVH %v, modules %q", k.Image, k.PVH, k.ModulesDir)
			}
		})
	}
}

func TestDirErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"nothing":                     {files{"readme": "x"}, "no kernel image in"},
		"no image":                    {files{"vmlinuz": "not a kernel", "config": config}, "neither a bzImage nor"},
		"image cut":                   {files{"vmlinuz": bzImage(rel, "1", true)[:2200], "config": config}, "truncated"},
		"image damaged":               {files{"vmlinuz": string(fake.BzImage(rel, []byte("\x1f\x8b\x08damaged"))), "config": "CONFIG_64BIT=y\n"}, "damaged"},
		"no config":                   {usual().and(files{"config-" + rel: ""}), "no kernel configuration"},
		"config is none":              {usual().and(files{"config-" + rel: "hello\n"}), "line 1"},
		"modules missing":             {files{"vmlinuz": bzImage(rel, "1", true), "config": config}, "no modules folder"},
		"modules of another":          {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("lib/modules/5.10.0", "5.10.0")), "the image is 6.1.0-56-amd64, its modules are of 5.10.0"},
		"modules of another, direct":  {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("modules", "5.10.0")), "its modules are of 5.10.0"},
		"modules of another, renamed": {files{"vmlinuz": bzImage(rel, "1", true), "config": config}.and(modulesOf("lib/modules/"+rel, "5.10.0")), "its modules are of 5.10.0"},
		"two kernels":                 {files{"vmlinuz-a": bzImage(rel, "1", true), "vmlinuz-b": bzImage("5.10.0", "1", true)}, "more than one kernel"},
		"vmlinux without PVH":         {files{"vmlinux": string(fake.Vmlinux(rel, "1", false)), "config": config}, "no PVH note"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			_, err := Resolve(t.Context(), "dir:"+c.files.in(t, t.TempDir()), opts)
			wantSpecError(t, err, c.want)
			if left := leftBehind(t, opts); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestDirConfig(t *testing.T) {
	opts := testOptions(t)
	dir := usual().and(files{"config-" + rel: ""}).in(t, t.TempDir())
	file := filepath.Join(files{"100% & more?x=y": config}.in(t, t.TempDir()), "100% & more?x=y")
	k, err := Resolve(t.Context(), Set("dir:"+dir, "config", file), opts)
	if err != nil {
		t.Fatal(err)
	}
	if missing := k.Lacks("EXT4_FS", "XFS_FS"); fmt.Sprint(missing) != "[XFS_FS]" {
		t.Errorf("lacks %v", missing)
	}
}

func TestSettings(t *testing.T) {
	for spec, want := range map[string]string{
		"dir:x?colour=red":            `takes no "colour"; it takes "config"`,
		"dir:x?confg=a":               `did you mean "config"?`,
		"dir:x?config=":               "config is empty",
		"dir:x?config=a&config=b":     "config is there twice",
		"dir:x?config=%zz":            "the value of config",
		"dir:?config=a":               "no folder named",
		"deb:a.deb,?":                 "",
		"apt:linux-image-6.1?*-amd64": "",
		"dir:what?":                   "",
		"dir:what?/a=b":               "",
	} {
		err := All().Check(spec)
		if want == "" && err != nil {
			t.Errorf("%s: %v", spec, err)
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
	if !errors.As(err, &spec) || !strings.Contains(err.Error(), want) || spec.WayOut == "" || spec.What == "" {
		t.Errorf("error %v, want a kernels.SpecError with %q", err, want)
	}
}

func TestSpecErrors(t *testing.T) {
	opts := testOptions(t)
	file := filepath.Join(t.TempDir(), "some.deb")
	files{"some.deb": "x"}.in(t, filepath.Dir(file))
	for spec, want := range map[string]string{
		"bookworm":           "no scheme",
		"aptt:bookworm":      `did you mean "apt"?`,
		"git:x":              "apt:SUITE, apt:SUITE/PACKAGE",
		filepath.Dir(file):   "write dir:" + filepath.Dir(file),
		file:                 "write deb:" + file,
		"apt:Bookworm":       "no name of a suite",
		"apt:":               "no suite",
		"deb:":               "a file's name is empty",
		"deb:a.deb,":         "a file's name is empty",
		"deb:/nowhere/a.deb": "no such file",
		"deb:" + file:        "not a Debian package",
		"dir:":               "no folder",
		"dir:/nowhere":       "no such file",
		"dir:" + file:        "is not a folder",
	} {
		_, err := Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
	}
	if left := leftBehind(t, opts); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// pack builds a package file and returns its path.
func pack(t *testing.T, dir, name, version, depends string, content files) string {
	t.Helper()
	needs(t, "dpkg-deb")
	root := t.TempDir()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n", name, version)
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	content.and(files{"DEBIAN/control": control}).in(t, root)
	file := filepath.Join(dir, name+"_"+version+"_amd64.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, file).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb --build: %v\n%s", err, out)
	}
	return file
}

// unsplit and the parts of a split kernel, as Debian lays them out.
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
		t.Errorf("%+v", k)
	}
	if k.Name != "6.1.192 (deb:linux-image-"+rel+"_6.1.192-1_amd64.deb)" {
		t.Errorf("name %q", k.Name)
	}
	if again, err := Resolve(t.Context(), "deb:"+one, opts); err != nil || again.Fresh() {
		t.Errorf("the second time it is unpacked again, %v", err)
	}

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
		t.Errorf("%+v", k)
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
		debs["linux-binary-"]: "comes without linux-modules-" + rel7,
		one + "," + debs["linux-binary-"] + "," + debs["linux-modules-"] + "," + debs["linux-base-"]: "more than one kernel image",
		pack(t, dir, "linux-doc", "1", "", files{"usr/share/doc/x": "x"}):                            "no kernel image",
		pack(t, dir, "linux-image-x", "1", "", files{"boot/vmlinuz-x": "not one"}):                   "neither a bzImage nor",
	} {
		_, err := Resolve(t.Context(), "deb:"+spec, opts)
		wantSpecError(t, err, want)
	}
	if after := leftBehind(t, opts); len(after) != len(before) {
		t.Errorf("left behind: %v", after)
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
		t.Errorf("error %v does not say why", err)
	}
	if left := leftBehind(t, opts); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// archive writes a mirror with suites; sources is a machine's list that names
// it. Its packages go through apt-get without a network and without root.
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
		{"apt:bookworm", "6.1.192", rel, "bookworm-security", 1}, // no bookworm-updates there
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
			t.Errorf("%s: %+v", c.spec, k)
		}
	}

	// The second time nothing is run: with the archive gone and no apt to be found.
	t.Run("again without the archive", func(t *testing.T) {
		logged = nil
		hidden := a.dir + ".away"
		if err := os.Rename(filepath.Join(a.dir, "dists"), hidden); err != nil {
			t.Fatal(err)
		}
		defer os.Rename(hidden, filepath.Join(a.dir, "dists"))
		t.Setenv("PATH", "/nowhere")
		if k, err := list.Resolve(t.Context(), "apt:bookworm", opts); err != nil || k.Fresh() || len(logged) > 0 {
			t.Errorf("%v, logged %v", err, logged)
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
		for range 2 { // the second time it is not even tried
			if k, err := nothing.Resolve(t.Context(), "apt:bookworm", broken); err != nil || k.Fresh() {
				t.Error(err)
			}
		}
		if len(logged) != 1 || !strings.Contains(logged[0], "go on with the package lists of bookworm") {
			t.Errorf("logged %q", logged)
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
		other := testOptions(t) // nothing unpacked, but the lists of before
		if err := os.CopyFS(filepath.Join(other.Cache.Dir(), "apt"), os.DirFS(filepath.Join(opts.Cache.Dir(), "apt"))); err != nil {
			t.Fatal(err)
		}
		k, err := list.Resolve(t.Context(), "apt:bookworm", other)
		if err != nil || k.Version != "6.1.193" {
			t.Errorf("%v, %v", k, err)
		}
	})
	for spec, want := range map[string]string{
		"apt:bookwrm":                   `no suite named "bookwrm" in the archive that the machine's apt sources point to; did you mean "bookworm"`,
		"apt:bookworm/linux-imag-amd64": `did you mean "linux-image-amd64"`,
		"apt:bookworm/6.13":             "that has 6.1, 6.12",
		"apt:bookworm/linux-image-9*":   "no kernel package matches",
		"apt:bookworm/linux-base":       "neither is a kernel nor depends on one",
		"apt:linux-image-nope-amd64":    "no kernel package named",
	} {
		_, err := list.Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, want)
	}
	if exists(filepath.Join(opts.Cache.Dir(), "apt", "bookwrm")) {
		t.Error("a suite that is none leaves its state behind")
	}
	t.Run("Available", func(t *testing.T) {
		offers, err := list.Offers(t.Context(), opts)
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

func TestAptTrouble(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", "Somebody", image("6.1.192-1"))
	a.suite(t, "trixie", "Debian", debian{"linux-image-amd64", "7.3.4-1", "linux-image-7.3.4-amd64 (= 7.3.4-1)", files{"x": "x"}})
	files{
		"unsigned.list": fmt.Sprintf("deb file:%s trixie main\n", a.dir),
		"foreign.list":  fmt.Sprintf("deb [signed-by=/usr/share/keyrings/vendor.gpg] file:%s bookworm main\n", a.dir),
	}.in(t, a.dir)
	for name, c := range map[string]struct{ spec, sources, want string }{
		"another's suite":      {"apt:bookworm", a.sources, "with Origin Debian"},
		"a dependency is gone": {"apt:trixie", a.sources, "linux-image-7.3.4-amd64 7.3.4-1 is in no list of trixie"},
		"not signed":           {"apt:trixie", filepath.Join(a.dir, "unsigned.list"), "debian-archive-keyring"},
		"no Debian source":     {"apt:trixie", filepath.Join(a.dir, "foreign.list"), "none of them is Debian's"},
		"no security archive":  {"apt:trixie-security", filepath.Join(a.dir, "unsigned.list"), "none of Debian's security archive"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := testOptions(t)
			_, err := from(c.sources).Resolve(t.Context(), c.spec, opts)
			var spec *kernels.SpecError
			if err == nil || errors.As(err, &spec) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one of the rig with %q", err, c.want)
			}
		})
	}
}

func TestToolError(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	opts := testOptions(t)
	_, err := Resolve(t.Context(), "apt:bookworm", opts)
	var missing *tool.MissingError
	if !errors.As(err, &missing) || missing.Package != "apt" || !strings.Contains(err.Error(), "apt-get install -y apt") {
		t.Errorf("error %v does not name the package", err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
