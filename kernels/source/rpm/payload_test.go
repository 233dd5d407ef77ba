package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sassoftware/go-rpmutils"
	"github.com/ulikunitz/xz/lzma"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/archive"
)

// tag is a tag of a header.
type tag struct {
	number, kind, count uint32
	data                []byte
}

func text(number uint32, values ...string) tag {
	kind := uint32(rpmutils.RPM_STRING_ARRAY_TYPE)
	if len(values) == 1 {
		kind = rpmutils.RPM_STRING_TYPE
	}
	return tag{number, kind, uint32(len(values)), []byte(strings.Join(values, "\x00") + "\x00")}
}

func numbers(number uint32, values ...uint32) tag {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return tag{number, rpmutils.RPM_INT32_TYPE, uint32(len(values)), b}
}

// header returns a header.
func header(tags ...tag) []byte {
	var list, data []byte
	for _, t := range tags {
		for _, v := range []uint32{t.number, t.kind, uint32(len(data)), t.count} {
			list = binary.BigEndian.AppendUint32(list, v)
		}
		data = append(data, t.data...)
	}
	h := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00")
	h = binary.BigEndian.AppendUint32(h, uint32(len(tags)))
	h = binary.BigEndian.AppendUint32(h, uint32(len(data)))
	return append(append(h, list...), data...)
}

// named are the tags of a package's name.
var named = []tag{
	text(rpmutils.NAME, "kernel-core"), text(rpmutils.VERSION, "6.12"), text(rpmutils.RELEASE, "1"),
	text(rpmutils.ARCH, "x86_64"),
}

// file is a file of a package.
type file struct {
	name  string
	inode uint32
	size  int
	flags uint32
}

// listing returns the tags of files, all below a folder.
func listing(folder string, files ...file) []tag {
	var bases, none []string
	var zeros, sizes, flags, modes, inodes []uint32
	for _, f := range files {
		bases, none, zeros = append(bases, f.name), append(none, ""), append(zeros, 0)
		sizes, flags, modes = append(sizes, uint32(f.size)), append(flags, f.flags), append(modes, 0o100644)
		inodes = append(inodes, f.inode)
	}
	return append(slices.Clone(named),
		text(rpmutils.DIRNAMES, folder), numbers(rpmutils.DIRINDEXES, zeros...), text(rpmutils.BASENAMES, bases...),
		numbers(rpmutils.FILESIZES, sizes...), text(rpmutils.FILEUSERNAME, none...), text(rpmutils.FILEGROUPNAME, none...),
		numbers(rpmutils.FILEFLAGS, flags...), numbers(rpmutils.FILEMTIMES, zeros...), text(rpmutils.FILEDIGESTS, none...),
		numbers(rpmutils.FILEMODES, modes...), text(rpmutils.FILELINKTOS, none...), numbers(rpmutils.FILEDEVICES, zeros...),
		numbers(rpmutils.FILEINODES, inodes...))
}

// entry returns an entry of a cpio archive (newc). length is that of the name as the entry
// claims it.
func entry(name, content string, length int64) []byte {
	h := "070701" + strings.Repeat("00000000", 6) + fmt.Sprintf("%08x", len(content)) + strings.Repeat("00000000", 4) +
		fmt.Sprintf("%08x", length) + "00000000" + name + "\x00"
	pad := func(s string) string { return s + strings.Repeat("\x00", (4-len(s)%4)%4) }
	return []byte(pad(h) + pad(content))
}

func cpioOf(namesAndContents ...string) (b []byte) {
	namesAndContents = append(namesAndContents, "TRAILER!!!", "")
	for c := range slices.Chunk(namesAndContents, 2) {
		b = append(b, entry(c[0], c[1], int64(len(c[0])+1))...)
	}
	return b
}

// pack writes a package without digests, and returns its path.
func pack(t *testing.T, signature, header, payload []byte) string {
	t.Helper()
	data := slices.Concat([]byte(lead), make([]byte, leadBytes-len(lead)), signature, header, payload)
	name := filepath.Join(t.TempDir(), "k.rpm")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// items reads a package as a writer that keeps files with "keep" in their names.
func items(file string) (all []string, err error) {
	_, err = read(file, kernels.Options{}, func(next archive.Next) error {
		for {
			item, content, err := next()
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			case item.Hard:
				all = append(all, item.Name+" -> "+item.Link)
			case strings.Contains(item.Name, "keep"):
				data, err := io.ReadAll(content)
				if err != nil {
					return err
				}
				all = append(all, fmt.Sprintf("%s: %s", item.Name, data))
			default:
				all = append(all, item.Name)
			}
		}
	})
	return all, err
}

// The last of a file's names in a package has its content; names that are not in the package
// (%ghost) do not count.
func TestPayload(t *testing.T) {
	const ghost = rpmutils.RPMFILE_GHOST
	var packed bytes.Buffer
	w, err := lzma.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	plain := cpioOf("./boot/a", "", "./boot/keep-b", "text", "./boot/keep-c", "other")
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tags := listing("/boot/", file{"a", 7, 4, 0}, file{"keep-b", 7, 4, 0}, file{"z", 7, 4, ghost}, file{"keep-c", 0, 5, 0})
	for name, p := range map[string]string{
		"plain": pack(t, header(), header(tags...), plain),
		"lzma":  pack(t, header(), header(append(tags, text(rpmutils.PAYLOADCOMPRESSOR, "lzma"))...), packed.Bytes()),
	} {
		got, err := items(p)
		want := []string{"/boot/keep-b: text", "/boot/a -> /boot/keep-b", "/boot/keep-c: other"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q, error %v; want %q", name, got, err, want)
		}
	}
}

// What a package claims is bounded before memory is used for it.
func TestPayloadHostile(t *testing.T) {
	one := listing("/boot/", file{"a", 0, 1, 0})
	huge := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff")
	tags := []byte("\x8e\xad\xe8\x01\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x01")
	overlapping := header(append(slices.Clone(named), tag{rpmutils.DIRNAMES, rpmutils.RPM_STRING_ARRAY_TYPE, 200_000, nil})...)
	many := make([]file, 1000)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	dictionary := []byte("\x5d\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff" + strings.Repeat("x", 100))
	for name, c := range map[string]struct {
		file, want string
	}{
		"a header of 2 GiB":       {pack(t, huge, nil, nil), "its header claims 1 tags and 2147483647 bytes"},
		"a second one":            {pack(t, header(), huge, nil), "its header claims 1 tags and 2147483647 bytes"},
		"2 billion tags":          {pack(t, header(), tags, nil), "its header claims 2147483647 tags"},
		"2 billion values":        {pack(t, header(), header(tag{1, rpmutils.RPM_STRING_ARRAY_TYPE, 1 << 31, nil}), nil), "claims 2147483648 values"},
		"values that overlap":     {pack(t, header(), overlapping, nil), "claims 200000 values"},
		"a folder of a long name": {pack(t, header(), header(listing(strings.Repeat("a", 1<<20), many...)...), cpioOf()), "paths of more than 33554432 bytes"},
		"a name of 4 GiB":         {pack(t, header(), header(one...), slices.Concat(entry("a", "", 1<<32-1), make([]byte, 4096))), "a name of 4294967295 bytes"},
		"a name of 0 bytes":       {pack(t, header(), header(one...), entry("", "", 0)), "the package is damaged"},
		"a file not in the list":  {pack(t, header(), header(one...), cpioOf("./boot/b", "x")), `it has the file "/boot/b", which its header does not list`},
		"a file again and again":  {pack(t, header(), header(one...), cpioOf("./boot/a", "x", "./boot/a", "x")), "it has more than its 1 files"},
		"names without content": {
			pack(t, header(), header(listing("/boot/", file{"a", 7, 1, 0}, file{"b", 7, 1, 0})...), cpioOf("./boot/a", "")),
			"a file with several names, and no content",
		},
		"a folder that does not exist": {pack(t, header(), header(append(slices.Clone(named), text(rpmutils.DIRNAMES, "/"), numbers(rpmutils.DIRINDEXES, 9))...), nil), "the package is damaged"},
		"another archive":              {pack(t, header(), header(append(slices.Clone(one), text(rpmutils.PAYLOADFORMAT, "ar"))...), nil), `the unknown form "ar"`},
		"a dictionary of 2 GiB":        {pack(t, header(), header(append(slices.Clone(one), text(rpmutils.PAYLOADCOMPRESSOR, "lzma"))...), dictionary), "dictionary size"},
		"without its end":              {pack(t, header(), header(one...), cpioOf("./boot/a", "x")[:100]), "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := items(c.file)
			var request *kernels.SpecError
			if !errors.As(err, &request) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, error %v; want a *kernels.SpecError with %q", got, err, c.want)
			}
		})
	}
}
