package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/errkind"
)

// Anyone who can open a lock file can block all others: no other user may.
func TestOtherUsersTakeNoLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	if err := os.Mkdir(dir, 0o777); err != nil { // as an earlier version left it
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(dir) })
	e := get(t, c)
	for path, want := range map[string]fs.FileMode{dir: 0o700, e.Path + lockSuffix: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, error %v; want %v", path, info.Mode(), err, want)
		}
	}
}

// A wait is logged once, with the process that holds the lock, unless it is short.
func TestWaitIsLogged(t *testing.T) {
	c := open(t)
	cmd := other(c.Dir(), "hang")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2500*time.Millisecond, func() { cmd.Process.Kill() })
	t.Cleanup(func() { cmd.Wait() })
	others := 0
	short, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	if _, err := c.Work(short, "kind", "key", false, func() { others++ }); err == nil || others != 1 {
		t.Errorf("got error %v, %d calls of waits for another process; want an error, 1 call", err, others)
	}
	var mu sync.Mutex
	var said []string
	c.Log = func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	}
	get(t, c)
	want := fmt.Sprintf("waiting for process %d (%.15s), which holds kind/key in the cache", cmd.Process.Pid, filepath.Base(os.Args[0]))
	if len(said) != 1 || said[0] != want && said[0] != "waiting for another process, which holds kind/key in the cache" {
		t.Errorf("got %q, want %q once", said, want)
	}
	waited := 0
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Work(ctx, "kind", "key", false, func() { waited++ }); err == nil || waited > 0 {
		t.Errorf("got error %v, %d calls of waits for itself; want an error, no call", err, waited)
	}
	said = nil
	get(t, c).Close()
	if len(said) != 0 {
		t.Errorf("got the log %q, want none, as no process holds the lock", said)
	}
}

// Another user's folder is refused even if it is writable, and so is a file that
// another user put into ours while it was accessible.
func TestForeignFolder(t *testing.T) {
	refused := func(t *testing.T, dir, at string) {
		t.Helper()
		_, err := Open(dir)
		var denied *DeniedError
		if !errors.As(err, &denied) || errkind.Of(err) != errkind.Request || denied.Path != at {
			t.Fatalf("got %v, want a *DeniedError of %s", err, at)
		}
		for _, part := range []string{"use " + at, " belongs to " + denied.Owner, "set XDG_CACHE_HOME", "chown -R"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got %v, want it with %q", err, part)
			}
		}
	}
	if os.Geteuid() != 0 {
		refused(t, "/tmp", "/tmp") // owned by root, writable by everyone
		return
	}
	const other = 65534
	folder := func(t *testing.T, parts ...string) string {
		t.Helper()
		dir := filepath.Join(parts...)
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	give := func(t *testing.T, path string) {
		t.Helper()
		if err := os.Lchown(path, other, other); errors.Is(err, unix.EPERM) {
			t.Skip("root can't change the owner here: ", err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("the folder", func(t *testing.T) {
		dir := folder(t, t.TempDir(), "faultline")
		give(t, dir)
		refused(t, dir, dir)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("got the mode %v, error %v; want another user's folder as it was, 0777", info.Mode(), err)
		}
	})
	t.Run("a kind", func(t *testing.T) {
		dir := folder(t, t.TempDir(), "faultline")
		kind := folder(t, dir, "templates")
		give(t, kind)
		refused(t, dir, kind)
	})
	t.Run("the target of a link", func(t *testing.T) {
		dir, kind := folder(t, t.TempDir(), "faultline"), folder(t, t.TempDir(), "templates")
		give(t, kind)
		link := filepath.Join(dir, "templates")
		if err := os.Symlink(kind, link); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, link)
	})
	t.Run("a link", func(t *testing.T) {
		dir, kind := folder(t, t.TempDir(), "faultline"), folder(t, t.TempDir(), "tree")
		link := filepath.Join(dir, "tree")
		if err := os.Symlink(kind, link); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err != nil {
			t.Errorf("a link of our own: got %v, want no error", err)
		}
		give(t, link)
		refused(t, dir, link)
	})
	asNobody(t)
}

// A folder whose mode can't be tightened is refused.
func TestModeThatStays(t *testing.T) {
	c := &Cache{dir: "/proc/self"} // ours; chmod(2) fails, as on file systems without modes
	err := c.tighten()
	if errkind.Of(err) != errkind.Request {
		t.Fatalf("got %v, want a request error", err)
	}
	for _, part := range []string{"other users have access", "/proc/self", "mode 0555", "set XDG_CACHE_HOME"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want it with %q", err, part)
		}
	}
}

// The error about another user's cache has the owner and the remedies.
func TestAnothersCache(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root has all permissions: run the test again as another user.
		asNobody(t)
		return
	}
	me := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	says := func(t *testing.T, err error, path string) {
		t.Helper()
		var denied *DeniedError
		if !errors.As(err, &denied) || errkind.Of(err) != errkind.Request || denied.Path != path || denied.Owner == "" {
			t.Fatalf("got %+v, want a *DeniedError of %s that names the owner", err, path)
		}
		for _, part := range []string{"permission denied", path + " belongs to ", "set XDG_CACHE_HOME", "chown -R"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("got %v, want it with %q", err, part)
			}
		}
	}
	build := func(_ context.Context, dir string) error { fill(dir); return nil }
	t.Run("the folder", func(t *testing.T) {
		_, err := Open("/etc/faultline-cache") // owned by root
		says(t, err, "/etc")
		if !strings.Contains(err.Error(), "belongs to root") {
			t.Errorf("got %v, want it with belongs to root", err)
		}
	})
	t.Run("a folder that can't be written", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		says(t, err, dir)
		if me != "" && !strings.Contains(err.Error(), "belongs to "+me) {
			t.Errorf("got %v, want it with belongs to %s", err, me)
		}
	})
	t.Run("a lock", func(t *testing.T) {
		c := open(t)
		e := get(t, c)
		e.Close()
		lock := e.Path + lockSuffix
		if err := os.Chmod(lock, 0o400); err != nil { // as if root had created it
			t.Fatal(err)
		}
		_, err := c.Get(t.Context(), "kind", "key", build)
		says(t, err, lock)
	})
	t.Run("a kind", func(t *testing.T) {
		c := open(t)
		kind := filepath.Join(c.Dir(), "kind")
		if err := os.Mkdir(kind, 0o500); err != nil {
			t.Fatal(err)
		}
		_, err := c.Get(t.Context(), "kind", "key", build)
		says(t, err, kind)
	})
}

// asNobody runs the current test as the user nobody.
func asNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	// The test binary is in a folder that only root can enter.
	dir, err := os.MkdirTemp("", "nobody")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(dir) })
	binary := filepath.Join(dir, "cache.test")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(binary, data, 0o755), os.Chown(dir, nobody, nobody), os.Chmod(dir, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.EPERM) {
		t.Skip("root can't become another user here: ", err)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
