package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/guest/wire"
)

func TestFiles(t *testing.T) {
	h := start(t)
	path := filepath.Join(t.TempDir(), "f")
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	if r := h.must(&wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: data, Create: true}}).File; r.N != len(data) || r.Errno != "" {
		t.Errorf("write: got %d bytes, errno %q; want %d", r.N, r.Errno, len(data))
	}
	for _, c := range []struct {
		q    wire.ReadFile
		want string
	}{
		{wire.ReadFile{Path: path}, string(data)},
		{wire.ReadFile{Path: path, Offset: 12, Length: 5}, "23456"},
		{wire.ReadFile{Path: path, Offset: int64(len(data)) - 1, Length: 5}, "9"},
		{wire.ReadFile{Path: "/proc/self/comm", Length: 3}, "age"},
	} {
		if strings.HasPrefix(c.q.Path, "/proc") {
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", h.cmd.Process.Pid))
			c.want = string(comm[:3])
		}
		if r := h.must(&wire.Request{ReadFile: &c.q}).File; string(r.Data) != c.want || r.N != len(c.want) || r.Errno != "" {
			t.Errorf("%+v: got %d bytes, errno %q; want %d", c.q, r.N, r.Errno, len(c.want))
		}
	}
	for _, c := range []struct {
		q     wire.Request
		errno string
	}{
		{wire.Request{ReadFile: &wire.ReadFile{Path: path + "x"}}, "ENOENT"},
		{wire.Request{ReadFile: &wire.ReadFile{Path: "/"}}, "EISDIR"},
		{wire.Request{WriteFile: &wire.WriteFile{Path: path + "x"}}, "ENOENT"},
		{wire.Request{WriteFile: &wire.WriteFile{Path: "/dev/full", Data: data}}, "ENOSPC"},
	} {
		if r := h.must(&c.q).File; r.Errno != c.errno {
			t.Errorf("%+v: got %s, want %s", c.q, r.Errno, c.errno)
		}
	}
}

func TestMakeFile(t *testing.T) {
	h := start(t)
	dir := t.TempDir()
	if err := canFiemap(dir); err != nil {
		t.Skipf("no FIEMAP on the file system of %s: %v", dir, err)
	}
	page := int64(os.Getpagesize())
	for _, layout := range []wire.Layout{wire.Written, wire.Unwritten, wire.Hole} {
		path := filepath.Join(dir, string(layout))
		made := h.must(&wire.Request{MakeFile: &wire.MakeFile{Path: path, Size: 600 * page, Layout: layout}}).Made
		got, err := os.ReadFile(path)
		if err != nil || int64(len(got)) != 600*page {
			t.Fatalf("%s: got %d bytes, %v; want %d", layout, len(got), err, 600*page)
		}
		for n := range int64(600) {
			want := byte(0)
			if layout == wire.Written {
				want = wire.Fill(n)
			}
			if !bytes.Equal(got[n*page:(n+1)*page], bytes.Repeat([]byte{want}, int(page))) {
				t.Fatalf("%s: page %d is not filled with %#x", layout, n, want)
			}
		}
		var total int64
		const unwritten = 0x800 // FIEMAP_EXTENT_UNWRITTEN
		for _, e := range made.Extents {
			total += e.Length
			if (e.Flags&unwritten != 0) != (layout == wire.Unwritten) {
				t.Errorf("%s: got extent %+v, want it unwritten %t", layout, e, layout == wire.Unwritten)
			}
		}
		want := 600 * page
		if layout == wire.Hole {
			want = 0
		}
		if total != want {
			t.Errorf("%s: got extents of %d bytes, want %d: %+v", layout, total, want, made.Extents)
		}
	}
	for _, q := range []*wire.MakeFile{
		{Path: dir + "/a", Size: 100, Layout: wire.Written},
		{Path: dir + "/a", Size: page, Layout: "liquid"},
		{Path: dir + "/a", Size: page, Layout: wire.Hole, Align: 2 << 20},
		{Path: dir + "/no/such", Size: page, Layout: wire.Written},
	} {
		if r := h.ask(&wire.Request{MakeFile: q}); r.Error == "" {
			t.Errorf("%+v: got no error", q)
		}
	}
}

func TestMakeAlignedFile(t *testing.T) {
	h := start(t)
	dir := t.TempDir()
	if err := canFiemap(dir); err != nil {
		t.Skipf("no FIEMAP on the file system of %s: %v", dir, err)
	}
	const align = 2 << 20
	for i, base := range []int64{0, 64 << 10, 3 << 19} {
		path := filepath.Join(dir, fmt.Sprint(i))
		r := h.ask(&wire.Request{MakeFile: &wire.MakeFile{Path: path, Size: 2 * align, Layout: wire.Written, Align: align, Base: base}})
		if r.Error != "" {
			if strings.Contains(r.Error, "contiguous") {
				t.Skipf("file system too fragmented: %s", r.Error)
			}
			t.Fatal(r.Error)
		}
		if first := r.Made.Extents[0]; first.Logical != 0 || (first.Physical+base)%align != 0 {
			t.Errorf("base %#x: got first extent %+v, want it aligned to %#x", base, first, align)
		}
		if s, err := os.Stat(path); err != nil || s.Size() != 2*align {
			t.Errorf("base %#x: got %v, %v; want %d bytes", base, s, err, 2*align)
		}
	}
}

func canFiemap(dir string) error {
	f, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = fiemap(int(f.Fd()))
	return err
}
