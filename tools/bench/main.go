// Command bench measures the figures of docs/evidence/performance.md: boots, freezes, clones,
// scenarios, whole runs, memory. It writes bench.json, which maps the name of a figure to
// its unit, number of samples, minimum, median, 95th percentile and maximum. It does not
// judge them.
//
//	go run ./tools/bench [-o bench.json] [-only REGEXP] [-n SAMPLES] [-against EARLIER.json]
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/guest/wire"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
)

type bench struct {
	ctx     context.Context
	n       int
	only    *regexp.Regexp
	out     string
	figures Figures
	cache   *cache.Cache
	rig     *vm.Host
	kernels []*kernels.Kernel
}

func main() {
	out := flag.String("o", "bench.json", "the `file` to write")
	only := flag.String(
		"only",
		"",
		"measure only the parts that this `regexp` matches: boot, clone, scenario, memory, parallel, run, growth, bisect, explore",
	)
	earlier := flag.String("against", "", "compare with an earlier bench.json, a `file`")
	n := flag.Int("n", 10, "samples of the short figures; boots take a half, runs a fifth")
	flag.Parse()
	b := &bench{ctx: context.Background(), n: *n, only: regexp.MustCompile(*only), out: *out, figures: Figures{}}
	then := Figures{} // read first, because it may be the output file
	var err error
	if *earlier != "" {
		then, err = load(*earlier)
	}
	if err == nil {
		err = b.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(3)
	}
	if *earlier != "" {
		fmt.Printf("\ncompared with %s:\n", *earlier)
		b.figures.compare(os.Stdout, then)
	}
}

func (b *bench) run() error {
	// Figures that are not measured now are kept from an earlier run.
	f, err := load(b.out)
	switch {
	case err == nil:
		b.figures = f
	case !os.IsNotExist(err):
		return err
	}
	if b.cache, err = cache.Open(""); err != nil {
		return err
	}
	m, err := matrix.Default()
	if err != nil {
		return err
	}
	for _, e := range m.Kernels {
		k, err := e.Resolve(b.ctx, kernels.Options{Cache: b.cache})
		if err != nil {
			return err
		}
		b.kernels = append(b.kernels, k)
	}
	if b.rig, err = vm.NewHost(b.ctx, b.cache, runtime.GOARCH); err != nil {
		return err
	}
	defer b.rig.Close()
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"boot", b.boots}, {"clone", b.clones}, {"scenario", b.scenarios}, {"memory", b.memory},
		{"parallel", b.parallel}, {"run", b.runs}, {"growth", b.growth}, {"bisect", b.bisect},
		{"explore", b.explore},
	} {
		if !b.only.MatchString(part.name) {
			continue
		}
		if err := part.do(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	b.figures.ratios()
	for _, name := range slices.Sorted(maps.Keys(b.figures)) {
		if strings.HasPrefix(name, "ratio/") {
			fmt.Printf("%-44s %9.2f\n", name, b.figures[name].Median)
		}
	}
	return b.figures.write(b.out)
}

// put prints a figure and stores it; each time it writes a complete file.
func (b *bench) put(name, unit string, samples []float64) error {
	f := summarize(unit, samples)
	b.figures[name] = f
	fmt.Printf("%-44s %9.1f %-3s median of %d (%.1f to %.1f)\n", name, f.Median, unit, f.N, f.Min, f.Max)
	return b.figures.write(b.out)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// boots measures a boot without a template, and each step of it.
func (b *bench) boots() error {
	for _, k := range b.kernels {
		points := map[string][]float64{}
		for range max(b.n/2, 3) {
			g, err := b.rig.Boot(b.ctx, vm.Spec{Kernel: k, Accel: qemu.TCG})
			if err != nil {
				return err
			}
			for _, p := range g.Timings.Points {
				points[p.Name] = append(points[p.Name], ms(p.After))
			}
			g.Close()
		}
		for _, name := range []string{"user_space", "modules", "ssh_connected", "agent_pushed"} {
			if len(points[name]) > 0 {
				if err := b.put("boot_"+name+"/"+k.Release, "ms", points[name]); err != nil {
					return err
				}
			}
		}
		if err := b.put("boot_ready/"+k.Release, "ms", points["ready"]); err != nil {
			return err
		}
	}
	// In an empty cache, a template is booted and frozen.
	var freeze, build []float64
	for range max(b.n/3, 3) {
		for _, k := range b.kernels {
			t, err := b.freshTemplate(k)
			if err != nil {
				return err
			}
			freeze, build = append(freeze, ms(t.Freeze)), append(build, ms(t.Boot))
			t.Close()
		}
	}
	if err := b.put("template_boot", "ms", build); err != nil {
		return err
	}
	return b.put("freeze", "ms", freeze)
}

// freshTemplate builds a template in its own cache, which it removes at once.
func (b *bench) freshTemplate(k *kernels.Kernel) (*vm.Template, error) {
	dir, err := os.MkdirTemp("", "faultline-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c, err := cache.Open(dir)
	if err != nil {
		return nil, err
	}
	rig, err := vm.NewHost(b.ctx, c, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	return rig.Template(b.ctx, vm.Spec{Kernel: k, Accel: qemu.TCG})
}

// clones measures the time from a clone's start to the agent's first answer, with the
// kernels alternating.
func (b *bench) clones() error {
	points := map[string][]float64{}
	for _, k := range b.kernels {
		t, err := b.rig.Template(b.ctx, vm.Spec{Kernel: k, Accel: qemu.TCG})
		if err != nil {
			return err
		}
		defer t.Close()
		for range b.n * 2 {
			g, err := t.Clone(b.ctx, vm.CloneOptions{})
			if err != nil {
				return err
			}
			if err := answer(b.ctx, g); err != nil {
				return err
			}
			points["ready"] = append(points["ready"], ms(time.Since(g.Timings.Start)))
			for _, p := range g.Timings.Points {
				points[p.Name] = append(points[p.Name], ms(p.After))
			}
			g.Close()
		}
	}
	for name, figure := range map[string]string{
		"monitor": "clone_monitor", "running": "clone_running", "ready": "clone_first_answer",
	} {
		if err := b.put(figure, "ms", points[name]); err != nil {
			return err
		}
	}
	return nil
}

// answer waits for an answer of a clone's agent.
func answer(ctx context.Context, g *vm.Guest) error {
	_, err := g.Call(ctx, &wire.Request{ReadFile: &wire.ReadFile{Path: "/proc/sys/kernel/tainted"}})
	return err
}

// memory measures the memory of a clone, from smaps_rollup (proc(5)).
func (b *bench) memory() error {
	sums := map[string][]float64{}
	for _, k := range b.kernels {
		t, err := b.rig.Template(b.ctx, vm.Spec{Kernel: k, Accel: qemu.TCG})
		if err != nil {
			return err
		}
		defer t.Close()
		for range max(b.n/2, 3) {
			g, err := t.Clone(b.ctx, vm.CloneOptions{})
			if err != nil {
				return err
			}
			if err := answer(b.ctx, g); err != nil {
				return err
			}
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", g.PID()))
			g.Close()
			if err != nil {
				return err
			}
			kb := map[string]float64{}
			for line := range strings.Lines(string(data)) {
				if f := strings.Fields(line); len(f) == 3 {
					kb[strings.TrimSuffix(f[0], ":")], _ = strconv.ParseFloat(f[1], 64)
				}
			}
			sums["private"] = append(sums["private"], (kb["Private_Clean"]+kb["Private_Dirty"])/1024)
			sums["dirty"] = append(sums["dirty"], kb["Private_Dirty"]/1024)
			sums["shared"] = append(sums["shared"], (kb["Shared_Clean"]+kb["Shared_Dirty"])/1024)
		}
	}
	for _, name := range []string{"private", "dirty", "shared"} {
		if err := b.put("clone_"+name+"_memory", "MiB", sums[name]); err != nil {
			return err
		}
	}
	return nil
}

// parallel measures how clones that start at the same time slow each other.
func (b *bench) parallel() error {
	t, err := b.rig.Template(b.ctx, vm.Spec{Kernel: b.kernels[0], Accel: qemu.TCG})
	if err != nil {
		return err
	}
	defer t.Close()
	for _, width := range []int{1, 2, 4, 8} {
		var mu sync.Mutex
		var samples []float64
		var failed error
		for range max(b.n/2, 3) {
			var wg sync.WaitGroup
			for range width {
				wg.Add(1)
				go func() {
					defer wg.Done()
					g, err := t.Clone(b.ctx, vm.CloneOptions{})
					if err == nil {
						err = answer(b.ctx, g)
					}
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						failed = err
						return
					}
					samples = append(samples, ms(time.Since(g.Timings.Start)))
					g.Close()
				}()
			}
			wg.Wait()
			if failed != nil {
				return failed
			}
		}
		if err := b.put(fmt.Sprintf("parallel_clones_%d", width), "ms", samples); err != nil {
			return err
		}
	}
	return nil
}
