package source

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels"
)

// shell runs a shell command with environment variables.
func shell(t *testing.T, command string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// The two default kernels are the same in each form in which distributions and CI systems have
// them: a cell is that of a kernel's digest, whatever its source.
func TestLongForms(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it")
	}
	needs(t, "depmod", "dpkg-deb", "rpmbuild", "createrepo_c", "zstd")
	for _, spec := range []string{"apt:bookworm", "apt:bookworm/6.12"} {
		t.Run(strings.ReplaceAll(spec, "/", " "), func(t *testing.T) { forms(t, spec) })
	}
}

func forms(t *testing.T, spec string) {
	want, err := Resolve(t.Context(), spec, kernels.Options{Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	env := []string{"FROM=" + filepath.Dir(want.Image), "REL=" + want.Release, "DIR=" + dir}
	const version = "6.1-1"
	rpm := func(name, root string) string {
		t.Helper()
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
		p, err := fake.RPM(t.Context(), at(name), name, version, "x86_64", at(root), "")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	// Debian's layout, which is that of make bindeb-pkg, tar-pkg and the first binrpm-pkg.
	shell(t, `mkdir -p $DIR/boot/boot $DIR/boot/lib
		cp $FROM/vmlinuz $DIR/boot/boot/vmlinuz-$REL
		cp $FROM/config $DIR/boot/boot/config-$REL
		cp -a $FROM/lib/modules $DIR/boot/lib/`, env...)
	binrpm := rpm("kernel", "boot")
	shell(t, `mkdir $DIR/boot/DEBIAN
		printf 'Package: linux-image-%s\nVersion: 6.1-1\nArchitecture: amd64\nMaintainer: x <x@x>\nDescription: x\n' $REL >$DIR/boot/DEBIAN/control
		dpkg-deb -Zzstd -z1 --build $DIR/boot $DIR/k.deb
		rm -r $DIR/boot/DEBIAN
		tar -C $DIR/boot -cf - . | zstd -q -1 >$DIR/k.tar.zst
		mkdir $DIR/www
		cp $FROM/vmlinuz $DIR/www/bzImage
		cp $FROM/config $DIR/www/.config
		tar -C $DIR/boot -cf - lib | zstd -q -1 >$DIR/www/modules.tar.zst`, env...)

	server := httptest.NewServer(registry.New())
	defer server.Close()
	image := strings.TrimPrefix(server.URL, "http://") + "/kernels:1"
	packed, err := os.ReadFile(at("k.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	push(t, image, packed)

	// Red Hat's: all is below /lib/modules, the modules in another package. SUSE's: one package,
	// /usr/lib, and a link in /boot.
	shell(t, `mkdir -p $DIR/core/lib/modules $DIR/modules/lib/modules/$REL
		mv $DIR/boot/lib/modules/$REL $DIR/core/lib/modules/
		mv $DIR/boot/boot/vmlinuz-$REL $DIR/core/lib/modules/$REL/vmlinuz
		mv $DIR/boot/boot/config-$REL $DIR/core/lib/modules/$REL/config
		mkdir -p $DIR/suse/usr/lib $DIR/suse/boot
		cp -a $DIR/core/lib/modules $DIR/suse/usr/lib/
		ln -s ../usr/lib/modules/$REL/vmlinuz $DIR/suse/boot/vmlinuz-$REL
		mv $DIR/core/lib/modules/$REL/kernel $DIR/modules/lib/modules/$REL/`, env...)
	core, modules, suse := rpm("kernel-core", "core"), rpm("kernel-modules", "modules"), rpm("kernel-default", "suse")
	shell(t, `cp $DIR/*/RPMS/x86_64/*.rpm $DIR/www/
		rm -r $DIR/boot $DIR/core $DIR/modules $DIR/suse
		createrepo_c -q $DIR/www`, env...)
	web := httptest.NewServer(http.FileServer(http.Dir(at("www"))))
	defer web.Close()

	for name, spec := range map[string]string{
		"deb":        "deb:" + at("k.deb"),
		"binrpm-pkg": "rpm:" + binrpm,
		"Red Hat":    "rpm:" + core + "," + modules,
		"SUSE":       "rpm:" + suse,
		"tar.zst":    "tar:" + at("k.tar.zst"),
		"OCI":        "oci:" + image,
		"HTTP":       "url:" + web.URL + "/bzImage?modules=" + web.URL + "/modules.tar.zst&config=" + web.URL + "/.config",
		"repository": "rpmrepo:" + web.URL + "/kernel-core",
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Resolve(t.Context(), spec, testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if k.Digest != want.Digest || k.Release != want.Release || k.PVH != want.PVH {
				t.Errorf("got %s, digest %s; want %s, digest %s", k.Release, k.Digest, want.Release, want.Digest)
			}
		})
	}
}
