package vm

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
)

// TestVirtioPmem uses virtio-pmem in clones of a kernel that binds its driver late, and
// of one that bound it before the freeze, like a kernel with a built-in driver.
func TestVirtioPmem(t *testing.T) {
	for name, before := range map[string]bool{"bound in the clone": false, "bound before the freeze": true} {
		t.Run(name, func(t *testing.T) {
			r := newHost(t)
			if before {
				standard := bootGroups
				t.Cleanup(func() { bootGroups = standard })
				bootGroups = append(slices.Clone(standard), "virtio_pmem")
				private, err := cache.Open(tempDir(t)) // the template's key does not include this
				must(t, err)
				r.Cache = private
			}
			tm := template(t, r, old)
			g := clone(t, tm)
			if slices.ContainsFunc(g.Devices, func(d wire.Device) bool { return d.Provider == "virtio" }) {
				t.Errorf("got %+v, want no virtio device, as it was unplugged", g.Devices)
			}
			path := "/sys/bus/pci/devices/" + qemu.VirtioPmemPCI(0)
			if reply, err := g.Call(t.Context(), &wire.Request{ReadFile: &wire.ReadFile{Path: path + "/vendor"}}); err != nil || reply.File.Errno != "ENOENT" {
				t.Errorf("%s: got %+v, error %v; want ENOENT", path, reply, err)
			}
			begun := time.Now()
			writeGuest(t, g, "/sys/bus/pci/rescan", "1")
			must(t, g.LoadModules(t.Context(), "virtio_pmem"))
			if id := readGuest(t, g, path+"/vendor"); id != "0x1af4\n" {
				t.Errorf("got vendor %q, want 0x1af4", id)
			}
			disk := ""
			for disk == "" && time.Since(begun) < 20*time.Second {
				reply, err := g.Call(t.Context(), &wire.Request{Pmem: &wire.Pmem{}})
				must(t, err)
				for _, d := range reply.Devices {
					if d.Provider == "virtio" {
						disk = d.Name
					}
				}
			}
			call := func(name string, args ...wire.Arg) int64 {
				t.Helper()
				called, err := g.syscall(t.Context(), name, args...)
				must(t, err)
				if called.Errno != "" {
					t.Fatalf("%s on %q: %s", name, disk, called.Errno)
				}
				return called.Ret
			}
			fd := call("openat", wire.Arg{Int: unix.AT_FDCWD}, wire.Arg{Str: "/dev/" + disk}, wire.Arg{Int: unix.O_RDWR}, wire.Arg{})
			call("pwrite64", wire.Arg{Int: fd}, wire.Arg{In: make([]byte, 4096)}, wire.Arg{Int: 4096}, wire.Arg{Int: 64 << 20})
			call("fsync", wire.Arg{Int: fd}) // sends a request to the device and waits for its answer
			// Again, while the driver is bound in the clone itself.
			must(t, g.unplugVirtioPmem(t.Context()))
			t.Logf("%s, %v", disk, time.Since(begun).Round(time.Millisecond))
		})
	}
}
