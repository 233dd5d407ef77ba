package vmlinuz_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"github.com/faultline/faultline/internal/fake"
	"github.com/faultline/faultline/kernels/vmlinuz"
)

const release = "6.1.0-56-amd64"

func vmlinux(pvh bool) []byte {
	elf := fake.Vmlinux(release, "6.1.192-1", pvh)
	// Call instructions for the BCJ filter, and more than one block for each format.
	return append(elf, bytes.Repeat([]byte("\xe8\x10\x20\x00\x00\x90\xe9\x00\x00\x00\x01some text"), 20000)...)
}

// packed compresses like the kernel's build: with a library that can write the format,
// else with the tool that the build uses.
func packed(t testing.TB, kind string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	case "lzma":
		w, err = lzma.NewWriter(&b)
	case "lz4":
		z := lz4.NewWriter(&b)
		err = z.Apply(lz4.LegacyOption(true))
		w = z
	case "none":
		return data
	case "xz", "xz, old", "bzip2":
		args := map[string][]string{ // scripts/xz_wrap.sh
			"xz":      {"xz", "--check=crc32", "--threads=1", "--x86", "--lzma2=dict=128MiB", "-c"},
			"xz, old": {"xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB", "-c"},
			"bzip2":   {"bzip2", "-c"},
		}[kind]
		path, lookErr := exec.LookPath(args[0])
		if lookErr != nil {
			t.Skipf("%s is not installed; run: apt-get install %s", args[0], map[string]string{"xz": "xz-utils", "bzip2": "bzip2"}[args[0]])
		}
		cmd := exec.Command(path, args[1:]...)
		cmd.Stdin, cmd.Stdout = bytes.NewReader(data), &b
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return fake.WithSize(b.Bytes(), len(data))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if kind == "gzip" {
		return b.Bytes()
	}
	return fake.WithSize(b.Bytes(), len(data))
}

func TestVmlinux(t *testing.T) {
	want := vmlinux(true)
	for _, kind := range []string{"gzip", "xz", "xz, old", "zstd", "lz4", "bzip2", "lzma", "none"} {
		t.Run(kind, func(t *testing.T) {
			image, err := vmlinuz.Parse(fake.BzImage(release, packed(t, kind, want)))
			if err != nil {
				t.Fatal(err)
			}
			if image.Release != release || image.ELF {
				t.Errorf("got release %q, ELF %v; want %q, false", image.Release, image.ELF, release)
			}
			got, err := image.Vmlinux()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got %d bytes, want the %d that were compressed", len(got), len(want))
			}
		})
	}
}

func TestPVH(t *testing.T) {
	for _, want := range []bool{true, false} {
		got, err := vmlinuz.PVH(vmlinux(want))
		if err != nil || got != want {
			t.Errorf("PVH: got %v, %v; want %v", got, err, want)
		}
	}
	if _, err := vmlinuz.PVH([]byte("no ELF")); err == nil {
		t.Error("not an ELF file: got no error")
	}
}

func TestParseELF(t *testing.T) {
	image, err := vmlinuz.Parse(vmlinux(true))
	if err != nil {
		t.Fatal(err)
	}
	if image.Release != release || !image.ELF {
		t.Errorf("got release %q, ELF %v; want %q, true", image.Release, image.ELF, release)
	}
}

func TestParseErrors(t *testing.T) {
	good := fake.BzImage(release, packed(t, "gzip", vmlinux(true)))
	change := func(at int, with string) []byte {
		b := bytes.Clone(good)
		copy(b[at:], with)
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"empty":           {nil, vmlinuz.ErrNotKernel},
		"text":            {bytes.Repeat([]byte("no kernel "), 100), vmlinuz.ErrNotKernel},
		"no boot flag":    {change(0x1fe, "\x00\x00"), vmlinuz.ErrNotKernel},
		"old protocol":    {change(0x206, "\x07\x02"), vmlinuz.ErrNotKernel},
		"no release":      {change(0x300, "\x00"), vmlinuz.ErrNotKernel},
		"path in release": {change(0x300, "6/../x "), vmlinuz.ErrNotKernel},
		"cut in payload":  {good[:len(good)-1], vmlinuz.ErrTruncated},
		"cut in header":   {good[:0x210], vmlinuz.ErrNotKernel},
		"another ELF":     {append([]byte("\x7fELF"), make([]byte, 100)...), vmlinuz.ErrNotKernel},
		"vmlinux cut":     {fake.Vmlinux(release, "1", true)[:280], vmlinuz.ErrTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := vmlinuz.Parse(c.data); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestVmlinuxErrors(t *testing.T) {
	elf := vmlinux(true)
	whole := packed(t, "zstd", elf)
	for name, c := range map[string]struct {
		payload []byte
		want    error
	}{
		"lzo":             {append([]byte("\x89LZO"), make([]byte, 64)...), vmlinuz.ErrCompression},
		"unknown":         {make([]byte, 64), vmlinuz.ErrCompression},
		"too short":       {[]byte("\x28"), vmlinuz.ErrTruncated},
		"damaged":         {append(bytes.Clone(whole[:len(whole)/2]), whole[len(whole)-4:]...), nil},
		"claims less":     {fake.WithSize(whole[:len(whole)-4], len(elf)-1), nil},
		"claims more":     {fake.WithSize(whole[:len(whole)-4], len(elf)+1), nil},
		"not ELF inside":  {packed(t, "zstd", []byte("something else")), nil},
		"claims terabyte": {fake.WithSize(whole[:len(whole)-4], 0xffffffff), nil},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := vmlinuz.Parse(fake.BzImage(release, c.payload))
			if err != nil {
				t.Fatal(err)
			}
			_, err = image.Vmlinux()
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	in := []byte("CONFIG_64BIT=y\n")
	elf := append(vmlinux(true), "IKCFG_ST"...)
	elf = append(append(elf, packed(t, "gzip", in)...), "IKCFG_ED"...)
	if got := vmlinuz.Config(elf); !bytes.Equal(got, in) {
		t.Errorf("Config: got %q, want %q", got, in)
	}
	if got := vmlinuz.Config(vmlinux(true)); got != nil {
		t.Errorf("Config of a kernel without one: got %q, want none", got)
	}
}

func FuzzParse(f *testing.F) {
	elf := fake.Vmlinux(release, "6.1.192-1", true)
	f.Add(elf)
	for _, kind := range []string{"gzip", "zstd", "lz4", "lzma"} {
		f.Add(fake.BzImage(release, packed(f, kind, elf)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		image, err := vmlinuz.Parse(data)
		if err != nil {
			return
		}
		if image.Release == "" {
			t.Error("got an image without a release")
		}
		if elf, err := image.Vmlinux(); err == nil {
			_, _ = vmlinuz.PVH(elf)
			_ = vmlinuz.Config(elf)
		}
	})
}
