package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// If helperEnv is set, the test binary is another process that gets an entry:
// it prints "building" and then builds, or hangs.
const helperEnv = "FAULTLINE_CACHE_HELPER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		helper(dir, os.Args[1])
		return
	}
	os.Exit(m.Run())
}

func helper(dir, what string) {
	c, err := Open(dir)
	if err != nil {
		panic(err)
	}
	e, err := c.Get(context.Background(), "kind", "key", func(ctx context.Context, dir string) error {
		fill(dir)
		fmt.Println("building")
		if what == "hang" {
			time.Sleep(time.Hour)
		}
		time.Sleep(100 * time.Millisecond)
		return nil
	})
	if err != nil {
		panic(err)
	}
	defer e.Close()
	fmt.Println("built", e.Built)
}

func other(dir, what string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], what)
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	return cmd
}

// fill writes the content of an entry: a file, and one in a read-only folder.
func fill(dir string) {
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	os.WriteFile(filepath.Join(dir, "sub", "other"), []byte("content"), 0o644)
	os.Chmod(filepath.Join(dir, "sub"), 0o555)
}

func open(t *testing.T) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(c.Dir()) })
	return c
}

// get returns the entry kind/key, with Built set if it was built.
func get(t *testing.T, c *Cache) *Entry {
	t.Helper()
	e, err := c.Get(context.Background(), "kind", "key", func(_ context.Context, dir string) error {
		fill(dir)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func names(t *testing.T, c *Cache) string {
	t.Helper()
	all, err := os.ReadDir(filepath.Join(c.Dir(), "kind"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestKey(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") || Key("a") == Key("a", "") {
		t.Error("keys of different parts are the same")
	}
}

func TestOneOfManyBuilds(t *testing.T) {
	dir := open(t).Dir()
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			e, err := c.Get(context.Background(), "kind", "key", func(_ context.Context, dir string) error {
				builds.Add(1)
				time.Sleep(30 * time.Millisecond)
				fill(dir)
				return nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			if data, err := os.ReadFile(filepath.Join(e.Path, "file")); string(data) != "content" {
				t.Errorf("got %q, error %v; want content", data, err)
			}
			e.Close()
		}()
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("got %d builds, want 1", n)
	}
}

func TestOneOfTwoProcessesBuilds(t *testing.T) {
	c := open(t)
	out := make(chan string, 2)
	for range 2 {
		go func() {
			printed, err := other(c.Dir(), "build").Output()
			if err != nil {
				t.Error(err)
			}
			out <- string(printed)
		}()
	}
	printed := <-out + <-out
	for _, line := range []string{"building", "built true", "built false"} {
		if strings.Count(printed, line) != 1 {
			t.Errorf("got %q of the processes, want %q once", printed, line)
		}
	}
}

// A process that is killed during a build leaves a partial entry, which is never
// returned and gets removed.
func TestKilledBuild(t *testing.T) {
	killed := func(t *testing.T, c *Cache) {
		t.Helper()
		cmd := other(c.Dir(), "hang")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 9)
		if _, err := out.Read(buf); err != nil || string(buf) != "building\n" {
			t.Fatalf("got %q of the helper, error %v; want building", buf, err)
		}
		if left, err := c.Leftovers(); err != nil || len(left) != 0 {
			t.Errorf("a running build: got the leftovers %v, error %v; want none", left, err)
		}
		cmd.Process.Kill()
		cmd.Wait()
		if n := names(t, c); !strings.Contains(n, "key.tmp") {
			t.Fatalf("got %s of the killed build, want key.tmp", n)
		}
	}
	t.Run("rebuilt", func(t *testing.T) {
		c := open(t)
		killed(t, c)
		if e := get(t, c); !e.Built {
			t.Error("the partial entry was returned")
		}
		if n := names(t, c); n != "key key.lock" {
			t.Errorf("got %s remaining, want key key.lock", n)
		}
	})
	t.Run("swept", func(t *testing.T) {
		c := open(t)
		killed(t, c)
		left, err := c.Leftovers()
		if err != nil || len(left) != 2 || left[0].Bytes == 0 { // the folder, and its lock
			t.Fatalf("got %+v, error %v; want the folder, with its bytes, and its lock", left, err)
		}
		for _, l := range left {
			if err := c.Sweep(l); err != nil {
				t.Error(err)
			}
		}
		if n := names(t, c); n != "" {
			t.Errorf("got %s remaining, want none", n)
		}
	})
}

func TestDamagedEntryIsRebuilt(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"size":        func(dir string) error { return os.Truncate(filepath.Join(dir, "file"), 3) },
		"content":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "file"), []byte("CONTENT"), 0o644) },
		"lost":        func(dir string) error { return os.Remove(filepath.Join(dir, "file")) },
		"no manifest": func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) },
		"manifest":    func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o644) },
		"an empty manifest, and a file lost": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, manifestName), []byte("{}"), 0o644), os.Remove(filepath.Join(dir, "file")))
		},
		"an empty manifest and no files": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, manifestName), []byte("{}"), 0o644), removeAll(filepath.Join(dir, "sub")), os.Remove(filepath.Join(dir, "file")))
		},
		"added": func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o644) },
		"below": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "sub", "other"), []byte("another content"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			e := get(t, c)
			if !e.Built {
				t.Fatal("not built")
			}
			e.Close()
			if e = get(t, c); e.Built {
				t.Fatal("built again for no reason")
			}
			e.Close()
			if err := damage(e.Path); err != nil {
				t.Fatal(err)
			}
			if e = get(t, c); !e.Built {
				t.Error("the damage was not detected")
			}
			if data, err := os.ReadFile(filepath.Join(e.Path, "file")); string(data) != "content" {
				t.Errorf("got %q, error %v; want content", data, err)
			}
		})
	}
}

func TestBuildThatFails(t *testing.T) {
	c := open(t)
	broken := errors.New("no disk")
	_, err := c.Get(context.Background(), "kind", "key", func(_ context.Context, dir string) error {
		fill(dir)
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the build's own error", err)
	}
	if n := names(t, c); n != "" {
		t.Errorf("got %s left behind, want none", n)
	}
}

func TestInUse(t *testing.T) {
	c := open(t)
	e := get(t, c)
	items, err := c.List()
	if err != nil || len(items) != 1 || items[0].Kind != "kind" || items[0].Key != "key" || items[0].Bytes == 0 || time.Since(items[0].Used) > time.Minute {
		t.Fatalf("got %+v, error %v; want the key of the kind, with its bytes, used within a minute", items, err)
	}
	another, err := Open(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := another.Remove(items[0]); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if _, err := os.Stat(filepath.Join(e.Path, "file")); err != nil {
		t.Error(err)
	}
	e.Close()
	if err := another.Remove(items[0]); err != nil {
		t.Error(err)
	}
	if n := names(t, c); n != "" {
		t.Errorf("got %s left, want none", n)
	}
}

// A lock on a file that was removed during the build protects nothing: Get must
// return an entry held by the lock file that other processes see.
func TestLockRemovedDuringBuild(t *testing.T) {
	c := open(t)
	path := filepath.Join(c.Dir(), "kind", "key")
	e, err := c.Get(t.Context(), "kind", "key", func(_ context.Context, dir string) error {
		fill(dir)
		return os.Remove(path + lockSuffix)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(Item{Kind: "kind", Key: "key", Path: path}); !errors.Is(err, ErrInUse) || !e.Built {
		t.Errorf("a held entry: got built %t, %v; want true, ErrInUse", e.Built, err)
	}
	e.Close()
}

// A build that creates no files is an error, not an entry that can never be found.
func TestBuildOfNothing(t *testing.T) {
	c := open(t)
	_, err := c.Get(t.Context(), "kind", "key", func(context.Context, string) error { return nil })
	if !errors.Is(err, errNoFiles) {
		t.Errorf("got %v, want errNoFiles", err)
	}
	if n := names(t, c); n != "" {
		t.Errorf("got %s left behind, want none", n)
	}
}

func TestUseIsNoted(t *testing.T) {
	c := open(t)
	e := get(t, c)
	e.Close()
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(e.Path, manifestName), old, old); err != nil {
		t.Fatal(err)
	}
	if items, _ := c.List(); time.Since(items[0].Used) < 47*time.Hour {
		t.Errorf("got it used %v, want 2 days ago", items[0].Used)
	}
	get(t, c)
	if items, _ := c.List(); time.Since(items[0].Used) > time.Minute {
		t.Errorf("got it used %v, want now", items[0].Used)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	c := open(t)
	building, given, done := make(chan bool), make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		e, err := c.Get(context.Background(), "kind", "key", func(_ context.Context, dir string) error {
			close(building)
			<-given
			fill(dir)
			return nil
		})
		if err != nil {
			t.Error(err)
			return
		}
		e.Close()
	}()
	<-building
	why := errors.New("no time left")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 50*time.Millisecond, why)
	defer cancel()
	_, err := c.Get(ctx, "kind", "key", func(context.Context, string) error { t.Error("built twice"); return nil })
	if !errors.Is(err, why) || !strings.Contains(err.Error(), "another process that holds kind/key") {
		t.Errorf("got %v, want %v, and who holds kind/key", err, why)
	}
	close(given)
	<-done
}

// FuzzManifest checks that a manifest is accepted only if it lists exactly the files
// that exist, in their present state.
func FuzzManifest(f *testing.F) {
	got := manifest{"file": {Size: 7, Mtime: 1}, "sub/other": {Size: 7, Mtime: 2}}
	whole, err := json.Marshal(got)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	for _, s := range []string{"", "{}", "null", "[]", `{"file":null}`, `{"file":{"size":7,"mtime":1}}`, `{"file":{"size":7,"mtime":1},"sub/other":{"size":7,"mtime":2},"x":{}}`, `{"file":{"size":-1}}`, `{"../x":{"size":1e99}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		var want manifest
		if json.Unmarshal(said, &want) != nil {
			return
		}
		if got.is(want) == nil {
			for name, w := range want {
				w.CRC32C, w.SHA256 = "", ""
				want[name] = w
			}
			if !maps.Equal(want, got) {
				t.Errorf("the manifest %q passes: got %v, want %v", said, got, want)
			}
		}
		if (manifest{}).is(want) == nil {
			t.Errorf("an entry without files is accepted with the manifest %q", said)
		}
	})
}

// FileSum decides alone whether two programs are the same.
func TestFileSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	got := map[string]bool{}
	for _, text := range []string{"a", "b", ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := FileSum(path)
		if err != nil || got[d] {
			t.Errorf("%q: got %s, error %v; want another sum than of the others", text, d, err)
		}
		got[d] = true
	}
	if _, err := FileSum(path + "/nothing"); err == nil {
		t.Error("a missing file has a digest")
	}
}
