package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source/apt"
)

// counted returns options that count the log lines that start with begins.
func counted(t *testing.T, begins string) (kernels.Options, func() int) {
	t.Helper()
	opts := testOptions(t)
	var mu sync.Mutex
	n := 0
	opts.Log = func(f string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(fmt.Sprintf(f, args...), begins) {
			n++
		}
	}
	return opts, func() int {
		mu.Lock()
		defer mu.Unlock()
		defer func() { n = 0 }()
		return n
	}
}

// The package lists are fetched again if the machine's sources, the keys, or the way
// to the archive change.
func TestAptMachineChanges(t *testing.T) {
	a := newArchive(t)
	const rel612 = "6.12.9+deb12-amd64"
	a.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	a.suite(t, "bookworm-security", "Debian", debian{"linux-image-" + rel612 + "-unsigned", "6.12.9-1", "", unsplit(rel612, "6.12.9-1")})
	key := filepath.Join(a.dir, "debian-archive-key.gpg")
	conf := filepath.Join(a.dir, "apt.conf")
	t.Setenv("APT_CONFIG", conf)
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	base := fmt.Sprintf("Dir::Etc::sourcelist \"%s\";\nDir::Etc::sourceparts \"/nowhere\";\n", a.sources)
	from := func(suite string) string {
		return fmt.Sprintf("deb [trusted=yes signed-by=%s] file:%s %s main\n", key, a.dir, suite)
	}
	main, security := from("bookworm"), from("bookworm-security")
	write(key, "one")
	write(conf, base)
	write(a.sources, main)
	opts, fetched := counted(t, "fetch the package lists of bookworm")
	list := List{apt.Source()}
	_, err := list.Resolve(t.Context(), "apt:bookworm/6.12", opts)
	wantSpecError(t, err, "no kernel 6.12 for plain amd64 in bookworm")
	wantSpecError(t, err, "add a file to /etc/apt/sources.list.d with \"Suites: bookworm-security\"")
	fetched()
	for _, step := range []struct {
		name   string
		change func()
		want   int
	}{
		{"the security archive is added", func() { write(a.sources, main+security) }, 1},
		{"nothing", func() {}, 0},
		{"an unrelated source is added", func() { write(a.sources, main+security+"deb [trusted=yes] file:/elsewhere nodistro main\n") }, 0},
		{"a key", func() { write(key, "two") }, 1},
		{"a proxy, in the environment", func() { t.Setenv("http_proxy", "http://localhost:1") }, 1},
		{"a proxy, in apt's configuration", func() { write(conf, base+"Acquire::http::Proxy \"http://localhost:2\";\n") }, 1},
		{"an unrelated setting", func() {
			write(conf, base+"Acquire::http::Proxy \"http://localhost:2\";\nAPT::Install-Recommends \"0\";\n")
		}, 0},
	} {
		step.change()
		if k, err := list.Resolve(t.Context(), "apt:bookworm/6.12", opts); err != nil || k.Version != "6.12.9" {
			t.Fatalf("%s: got %v, error %v; want version 6.12.9", step.name, k, err)
		}
		if got := fetched(); got != step.want {
			t.Errorf("%s: got the lists fetched %d times, want %d", step.name, got, step.want)
		}
	}
	if _, err := list.Resolve(t.Context(), "apt:bookworm", opts); err != nil {
		t.Fatal(err)
	}
	// After a failure, corrected sources are used at once.
	write(a.sources, strings.ReplaceAll(main, a.dir, a.dir+"/nowhere"))
	for range 2 {
		if _, err := list.Resolve(t.Context(), "apt:bookworm", opts); err != nil {
			t.Error(err)
		}
	}
	if got := fetched(); got != 1 {
		t.Errorf("missing archive: got the lists fetched %d times, want once", got)
	}
	write(a.sources, main)
	_, err = list.Resolve(t.Context(), "apt:bookworm/6.12", opts)
	wantSpecError(t, err, "no kernel 6.12 for plain amd64 in bookworm")
}

// Two kernels of a suite wait for each other within one process, without a log
// message.
func TestAptWaitsForItself(t *testing.T) {
	a := newArchive(t)
	a.suite(t, "bookworm", "Debian", meta("6.1.192-1", "linux-image-"+rel), image("6.1.192-1"))
	opts, waits := counted(t, "wait for ")
	var all sync.WaitGroup
	for _, spec := range []string{"apt:bookworm", "apt:bookworm/6.1", "apt:bookworm/linux-image-" + rel} {
		all.Go(func() {
			k, err := from(a.sources).Resolve(t.Context(), spec, opts)
			if err != nil {
				t.Error(err)
				return
			}
			k.Close()
		})
	}
	all.Wait()
	if n := waits(); n > 0 {
		t.Errorf("got %d messages about a wait for this process, want none", n)
	}
}
