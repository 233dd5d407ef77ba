package vm_test

import (
	"context"
	"testing"

	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
)

func rig(t *testing.T) (*vm.Rig, *cache.Cache) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots real guests; -short leaves them out")
	}
	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	r, err := vm.NewRig(context.Background(), c, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, c
}

func kernel(t *testing.T, c *cache.Cache, spec string) *kernels.Kernel {
	t.Helper()
	k, err := kernels.Resolve(context.Background(), spec, kernels.Options{Cache: c, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func TestBoot(t *testing.T) {
	r, c := rig(t)
	for _, spec := range []string{"dir:/tmp/w/k61", "dir:/tmp/w/k612"} {
		k := kernel(t, c, spec)
		g, err := r.Boot(context.Background(), vm.Spec{Kernel: k, Accel: qemu.TCG, Console: "/tmp/w/console.log"})
		if err != nil {
			if tr, ok := err.(*vm.Trouble); ok {
				t.Log(tr.Tail)
			}
			t.Fatal(err)
		}
		defer g.Close()
		if g.Welcome.Release != k.Release {
			t.Errorf("the guest runs %s, not %s", g.Welcome.Release, k.Release)
		}
		t.Log(g.Welcome, g.Timings)
		reply, err := g.Call(context.Background(), &wire.Request{Pmem: &wire.Pmem{}})
		t.Log(err, reply)
		if err == nil {
			for _, d := range reply.Devices {
				t.Logf("%+v", d)
			}
		}
	}
}

func TestClone(t *testing.T) {
	r, c := rig(t)
	for _, spec := range []string{"dir:/tmp/w/k61", "dir:/tmp/w/k612"} {
		k := kernel(t, c, spec)
		tm, err := r.Template(context.Background(), vm.Spec{Kernel: k, Accel: qemu.TCG})
		if err != nil {
			t.Fatal(err)
		}
		defer tm.Close()
		t.Log(tm.Boot, tm.Freeze)
		for range 4 {
			g, err := tm.Clone(context.Background(), vm.CloneOptions{})
			if err != nil {
				if tr, ok := err.(*vm.Trouble); ok {
					t.Log(tr.Tail)
				}
				t.Fatal(err)
			}
			t.Log(g.Timings)
			g.Close()
		}
	}
}
