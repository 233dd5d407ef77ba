package matrix_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/matrix"
)

func TestEach(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"v6.2", "v6.10", "v6.1", "other"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var log []string
	opts := kernels.Options{Cache: store, Log: func(f string, a ...any) { log = append(log, fmt.Sprintf(f, a...)) }}
	has := map[string]bool{"dax_fault_hwpoison": true}
	each := func(specs ...string) string {
		t.Helper()
		var entries []matrix.Entry
		for _, s := range specs {
			entries = append(entries, matrix.Entry{Spec: s, Has: has})
		}
		all, lost, err := matrix.Each(t.Context(), entries, opts)
		if err != nil {
			return err.Error()
		}
		var got []string
		for _, e := range all {
			if !e.Has["dax_fault_hwpoison"] {
				t.Errorf("%s lost its declarations", e.Spec)
			}
			got = append(got, strings.TrimPrefix(e.Spec, "dir:"+dir+"/"))
		}
		for _, spec := range lost {
			got = append(got, "lost "+spec)
		}
		return strings.Join(got, " ")
	}
	at := "dir:" + dir + "/"
	for _, c := range []struct{ name, got, want string }{
		{"newest first, each once, others follow", each(at+"other", at+"v6.*", at+"v*"), "v6.10 v6.2 v6.1 other"},
		{"with parameters", each(at + "v6.1*?config=x"), "v6.10?config=x v6.1?config=x"},
		{"a place that can't be read", each("rpmrepo:http://127.0.0.1:1/os/kernel*", at+"v6.2"), "v6.2 lost rpmrepo:http://127.0.0.1:1/os/kernel*"},
		{"a pattern that matches nothing", each(at+"w*", at+"v6.2"), "v6.2 lost " + at + "w*"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	if len(log) != 2 || !strings.Contains(log[0], "127.0.0.1:1") || !strings.Contains(log[1], "no kernel matches") {
		t.Errorf("got the log %q, want a line for the repository and one for the pattern", log)
	}
	if got := each(at + "w*"); !strings.Contains(got, "no kernel matches") {
		t.Errorf("got %q, want that no kernel matches", got)
	}
	if got := each("rpmrepo:http://127.0.0.1:1/os/kernel*"); !strings.Contains(got, "127.0.0.1:1") {
		t.Errorf("got %q, want the error of the only place", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := matrix.Each(ended, []matrix.Entry{{Spec: at + "v*"}}, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context was cancelled", err)
	}
}
