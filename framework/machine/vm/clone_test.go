package vm

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultline/faultline/guest/wire"
)

func writeGuest(t *testing.T, g *Guest, path, text string) {
	t.Helper()
	reply, err := g.Call(t.Context(), &wire.Request{WriteFile: &wire.WriteFile{Path: path, Data: []byte(text), Create: true}})
	must(t, err)
	if reply.File.Errno != "" {
		t.Fatalf("write %s in the guest: %s", path, reply.File.Errno)
	}
}

// The output of a guest is escaped in its console file.
func TestConsoleFile(t *testing.T) {
	tm := template(t, newHost(t), recent)
	path := filepath.Join(t.TempDir(), "new", "a.console")
	g, err := tm.Clone(t.Context(), CloneOptions{Console: path})
	must(t, err)
	defer g.Close()
	writeGuest(t, g, "/dev/ttyS0", "\x1b[2J\u009b1m::error::\\said\n")
	select {
	case <-g.proc.Console.Seen("said"):
	case <-time.After(time.Minute):
		t.Errorf("got the tail %q of the console, want said", g.ConsoleTail(5))
	}
	g.Close()
	if got, err := os.ReadFile(path); err != nil || string(got) != `\x1b[2J\xc2\x9b1m:\x3aerror:\x3a\\said`+"\n" {
		t.Errorf("got %q, error %v; want the output of the guest, escaped", got, err)
	}
	silent, err := tm.Clone(t.Context(), CloneOptions{Console: path + "2"})
	must(t, err)
	silent.Close()
	if _, err := os.Stat(path + "2"); !os.IsNotExist(err) {
		t.Errorf("the file of no console: got %v, want that it does not exist", err)
	}
}

func TestClone(t *testing.T) {
	for _, spec := range []string{old, recent} {
		t.Run(spec, func(t *testing.T) {
			r := newHost(t)
			tm := template(t, r, spec)
			before := files(t, tm.entry.Path)
			first, second := clone(t, tm), clone(t, tm)
			if first.Hello.Release != tm.spec.Kernel.Release {
				t.Errorf("got the release %s of the clone, want %s", first.Hello.Release, tm.spec.Kernel.Release)
			}
			t.Log(first.Timings)
			for _, g := range []*Guest{first, second} {
				for _, path := range []string{"/run/own", MountDir(g.Mounted[0]) + "/own"} { // memory, and pmem
					if reply, err := g.Call(t.Context(), &wire.Request{ReadFile: &wire.ReadFile{Path: path}}); err != nil || reply.File.Errno != "ENOENT" {
						t.Errorf("%s of another clone: got %+v, error %v; want ENOENT", path, reply.File, err)
					}
					writeGuest(t, g, path, "mine")
					if got := readGuest(t, g, path); got != "mine" {
						t.Errorf("%s: got %q, want mine", path, got)
					}
				}
				if _, err := g.syscall(t.Context(), "sync"); err != nil {
					t.Error(err)
				}
			}

			if first.PID() == second.PID() || first.Monitor() == second.Monitor() || first.dir == second.dir {
				t.Error("clones share what should be their own")
			}
			writeGuest(t, first, "/dev/kmsg", "<0>hello from the first clone\n")
			select {
			case <-first.proc.Console.Seen("hello from the first clone"):
			case <-time.After(time.Minute):
				t.Errorf("the console's tail is %q", first.ConsoleTail(5))
			}
			if strings.Contains(second.ConsoleTail(5), "first clone") {
				t.Error("clones share a console")
			}
			testSSH(t, second)
			testSSH(t, first)
			// A guest that is used over SSH has its own random numbers.
			random := map[string]bool{}
			for _, g := range []*Guest{first, second} {
				for range 2 {
					random[readGuest(t, g, "/proc/sys/kernel/random/uuid")] = true
				}
			}
			if len(random) != 4 {
				t.Errorf("got the numbers %v of two clones, want them to differ", random)
			}
			first.Close()
			second.Close()
			if after := files(t, tm.entry.Path); after != before {
				t.Errorf("clones changed the template from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// files are a folder's files with their sizes and times.
func files(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") { // the cache's record of use
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(strings.Join([]string{d.Name(), strconv.FormatInt(info.Size(), 10), info.ModTime().String(), "\n"}, " "))
		}
		return err
	}))
	return b.String()
}

// usage is the resources of this process.
type usage struct {
	fds, goroutines, files, guests int
	rss                            int64 // bytes
}

func use(t *testing.T) (u usage) {
	t.Helper()
	// A goroutine that was stopped needs a moment to end.
	for range 20 {
		n := runtime.NumGoroutine()
		time.Sleep(5 * time.Millisecond)
		if runtime.NumGoroutine() >= n {
			break
		}
	}
	debug.FreeOSMemory()
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	tmp, err := os.ReadDir(os.Getenv("TMPDIR"))
	must(t, err)
	for _, d := range tmp {
		inside, _ := os.ReadDir(filepath.Join(os.Getenv("TMPDIR"), d.Name()))
		u.files += 1 + len(inside)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	must(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	must(t, err)
	u.guests = len(guests())
	u.fds, u.goroutines, u.rss = len(fds), runtime.NumGoroutine(), pages*int64(os.Getpagesize())
	return u
}

// liveOnce runs a clone like a scenario does.
func liveOnce(ctx context.Context, tm *Template) error {
	g, err := tm.Clone(ctx, CloneOptions{})
	if err != nil {
		return err
	}
	defer g.Close()
	_, err = g.Call(ctx, &wire.Request{Spawn: &wire.Spawn{}})
	return err
}

// TestClonesLeaveNothing runs a few clones, two at a time.
func TestClonesLeaveNothing(t *testing.T) {
	tm := template(t, newHost(t), recent)
	must(t, liveOnce(t.Context(), tm)) // what is made once
	before := use(t)
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(2)
	for range 20 {
		g.Go(func() error { return liveOnce(ctx, tm) })
	}
	must(t, g.Wait())
	after := use(t)
	if after.fds > before.fds || after.goroutines > before.goroutines || after.files > before.files || after.guests > 0 {
		t.Errorf("got %+v, then %+v; want no more, and no guest", before, after)
	}
}

// TestReliabilityLongClones does what a night of bisecting does.
func TestReliabilityLongClones(t *testing.T) {
	if os.Getenv("FAULTLINE_LONG") == "" {
		t.Skip("takes minutes; FAULTLINE_LONG=1 runs it, as make test-reliability LONG=1 does")
	}
	tm := template(t, newHost(t), recent)
	const all, warm = 300, 50
	var early usage
	begun := time.Now()
	for i := range all {
		if i == warm {
			early = use(t)
		}
		must(t, liveOnce(t.Context(), tm))
	}
	took := time.Since(begun)
	late := use(t)
	t.Logf("%d clones in %v (%v each); after %d: %+v; after %d: %+v", all, took.Round(time.Millisecond), (took / all).Round(time.Microsecond), warm, early, all, late)
	if late.fds > early.fds || late.goroutines > early.goroutines || late.files > early.files || late.guests > 0 {
		t.Error("something grows")
	}
	if late.rss > early.rss+4<<20 {
		t.Errorf("got memory of %d KiB, then %d KiB; want at most 4096 KiB more", early.rss>>10, late.rss>>10)
	}
}
