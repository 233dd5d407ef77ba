package debian

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels"
)

func ar(members ...string) string {
	b := "!<arch>\n"
	for i := 0; i+1 < len(members); i += 2 {
		b += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", members[i], 0, 0, 0, "100644", len(members[i+1]), members[i+1])
		if len(members[i+1])%2 == 1 {
			b += "\n"
		}
	}
	return b
}

// open returns the error for the members of a file.
func open(t *testing.T, file string) error {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = members(file, f)
	return err
}

func TestMembers(t *testing.T) {
	whole := ar("debian-binary", "2.0\n", "control.tar.xz/", "odd", "data.tar.xz", "some data")
	for name, c := range map[string]struct{ data, want string }{
		"whole":                   {whole, ""},
		"empty":                   {"", "not a Debian package"},
		"text":                    {"this is no package", "not a Debian package"},
		"cut in the magic":        {"!<ar", "truncated"},
		"cut in a header":         {whole[:40], "truncated"},
		"cut in data":             {whole[:len(whole)-4], "truncated: data.tar.xz has 6 of 9 bytes"},
		"cut between the members": {ar("debian-binary", "2.0\n", "control.tar.gz", "1"), "truncated: no data.tar"},
		"an archive of objects":   {ar("a.o", "x"), "not a Debian package"},
		"many members":            {ar(slices.Repeat([]string{"debian-binary", "2.0\n"}, 100)...), "not a Debian package: more than 16 members"},
		"bad header":              {strings.Replace(whole, "`", "'", 1), "not a Debian package"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.deb")
			if err := os.WriteFile(file, []byte(c.data), 0o644); err != nil {
				t.Fatal(err)
			}
			err := open(t, file)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var spec *kernels.SpecError
			if !errors.As(err, &spec) || !strings.Contains(err.Error(), c.want) || spec.Hint == "" {
				t.Errorf("got %v, want a kernels.SpecError with %q", err, c.want)
			}
		})
	}
}

func TestMembersSparse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.deb")
	if err := os.WriteFile(file, []byte(ar("debian-binary", "2.0\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 40<<30); err != nil {
		t.Fatal(err)
	}
	var spec *kernels.SpecError
	if err := open(t, file); !errors.As(err, &spec) || !strings.Contains(err.Error(), "larger than 8.0 GiB") {
		t.Errorf("got %v, want an error of a member larger than 8.0 GiB", err)
	}
}

func FuzzListAr(f *testing.F) {
	f.Add([]byte(ar("debian-binary", "2.0\n", "control.tar.xz", "1", "data.tar.xz", "22")))
	f.Add([]byte("!<arch>\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := listAr(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		total := int64(0)
		for _, m := range members {
			total += m.size
		}
		if total > int64(len(data)) {
			t.Errorf("got members of %d bytes, want at most the %d of the file", total, len(data))
		}
	})
}

// Any file is described, or refused as an error of the request, with bounded memory.
func FuzzDescribe(f *testing.F) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	text := "Package: linux-image-6.1\nVersion: 6.1-1\nArchitecture: amd64\n"
	if err := w.WriteHeader(&tar.Header{Name: "./control", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(ar("debian-binary", "2.0\n", "control.tar", plain.String(), "data.tar.xz", "22")))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "x.deb")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Describe(file)
		var spec *kernels.SpecError
		if err != nil && !errors.As(err, &spec) || err == nil && (p.Name == "" || p.Version == "") {
			t.Errorf("got %+v, error %v; want a name and a version, or a SpecError", p, err)
		}
	})
}
