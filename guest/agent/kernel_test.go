package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

func TestKernelLog(t *testing.T) {
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("kernel log not readable: %v", err)
	}
	f.Close()
	h := start(t)
	all := h.must(&wire.Request{KernelLog: &wire.KernelLog{}}).Log
	if len(all.Lines) == 0 || !strings.HasPrefix(all.Lines[0], "[") {
		t.Fatalf("got %d lines, %.1q; want lines with a timestamp", len(all.Lines), all.Lines)
	}
	again := h.must(&wire.Request{KernelLog: &wire.KernelLog{Since: all.Next - 1}}).Log
	if len(again.Lines) == 0 || again.Lines[0] != all.Lines[len(all.Lines)-1] {
		t.Errorf("read the last line again: got %q, want it first", again.Lines)
	}
	end := h.must(&wire.Request{KernelLog: &wire.KernelLog{Since: again.Next}}).Log
	if end.Next < again.Next {
		t.Errorf("got the next sequence number %d, then %d; want no smaller one", again.Next, end.Next)
	}
}

func TestParseRecord(t *testing.T) {
	seq, line, err := parseRecord([]byte("6,339,5140900,-,caller=T1;NET: Registered; really\n SUBSYSTEM=net\n"))
	if err != nil || seq != 339 || line != "[    5.140900] NET: Registered; really" {
		t.Errorf("got %d, %q, error %v; want 339, \"[    5.140900] NET: Registered; really\"", seq, line, err)
	}
	// Records from user space are marked: 1 is the facility that the kernel assigns,
	// 12 is 1<<3|4.
	for record, want := range map[string]string{
		"12,1,5140900,-;BUG: no": "<12>[    5.140900] BUG: no", "30,1,5140900,-;systemd[1]: x": "<30>[    5.140900] systemd[1]: x",
		"7,1,5140900,-;x": "[    5.140900] x", "191,1,5140900,-;x": "<191>[    5.140900] x", "8,1,5140900,-;x": "<8>[    5.140900] x",
	} {
		if _, line, err := parseRecord([]byte(record)); err != nil || line != want {
			t.Errorf("%q: got %q, %v; want %q", record, line, err, want)
		}
	}
	for _, bad := range []string{"", "6,1,2,-", "x,1,2,-;y", "-1,1,2,-;y", "6,1;x", "6,x,2,-;y", "6,1,x,-;y"} {
		if _, _, err := parseRecord([]byte(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;text\n KEY=value\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, line, err := parseRecord(b); err == nil && strings.Contains(line, "\n") {
			t.Errorf("got %q, want a single line", line)
		}
	})
}

// sysfs creates a tree like a guest's /sys; values maps paths to file contents.
func sysfs(t *testing.T, values map[string]string, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, value := range values {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(value+"\n"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for path, to := range links {
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.Symlink(filepath.Join(root, to), path)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestPmem(t *testing.T) {
	const nfit = "devices/LNXSYSTM:00/ACPI0012:00/ndbus0"
	const e820 = "devices/platform/e820_pmem/ndbus1"
	root := sysfs(t, map[string]string{
		nfit + "/provider":                              "ACPI.NFIT",
		nfit + "/region0/namespace0.0/resource":         "0x100000000",
		nfit + "/region0/pfn0.1/namespace":              "namespace0.0",
		nfit + "/region0/pfn0.1/resource":               "0x100200000",
		nfit + "/region0/pfn0.1/block/pmem0/size":       "1000",
		e820 + "/provider":                              "e820",
		e820 + "/region1/namespace1.0/resource":         "0x40000000",
		e820 + "/region1/namespace1.0/block/pmem1/size": "8",
	}, map[string]string{
		"block/pmem0": nfit + "/region0/pfn0.1/block/pmem0",
		"block/pmem1": e820 + "/region1/namespace1.0/block/pmem1",
		"block/vda":   "devices",
	})
	got, err := pmemIn(filepath.Join(root, "block"))
	want := []wire.Device{
		{Name: "pmem0", Provider: "nfit", Resource: 0x100000000, DataOffset: 0x200000, Bytes: 512000, Fsdax: true},
		{Name: "pmem1", Provider: "e820", Resource: 0x40000000, Bytes: 4096},
	}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestDMTargets(t *testing.T) {
	b := dmTargets([]wire.Target{{Length: 8, Type: "linear", Params: "/dev/pmem0 0"}, {Start: 8, Length: 1, Type: "error"}})
	if len(b) != 40+16+40+8 || b[20] != 56 || string(b[24:30]) != "linear" || string(b[40:53]) != "/dev/pmem0 0\x00" ||
		b[56] != 8 || b[56+20] != 48 || string(b[56+24:56+29]) != "error" {
		t.Errorf("got %q, want 8 sectors of linear, then 1 of error", b)
	}
}
