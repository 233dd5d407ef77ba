package run

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
)

// A suite process has faultline's working directory, so that relative paths, such as a
// kernel's folder, work in it.
func TestRelativePaths(t *testing.T) {
	r := script(t)
	r.suites[1].Program = filepath.Join(t.TempDir(), "ram.test")
	said := filepath.Join(t.TempDir(), "said")
	script := "#!/bin/sh\nfor a; do case $a in --faultline.kernel=dir:*) cat \"${a#*dir:}/config\" >" + said + ";; esac; done\n"
	if err := os.WriteFile(r.suites[1].Program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for path, text := range map[string]string{"here/config": "not this one", "install/config": "this one"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir("here")
	r.kernels[0].Spec = "dir:../install"
	r.observe(context.Background(), r.suites[1], r.kernels[0])
	if got, err := os.ReadFile(said); err != nil || string(got) != "this one" {
		t.Errorf("got %q, error %v, want this one; the process sent %+v", got, err, r.cells)
	}
}

func TestReadLine(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("one\n"+strings.Repeat("x", 100)+"\nthree\nhalf"), 16)
	for _, want := range []string{"one\n", strings.Repeat("x", 20), "three\n"} {
		if line, err := readLine(r, 20); string(line) != want || err != nil {
			t.Errorf("got %q, error %v; want %q", line, err, want)
		}
	}
	if line, err := readLine(r, 20); string(line) != "half" || !errors.Is(err, io.EOF) {
		t.Errorf("got %q, %v at the end; want half, EOF", line, err)
	}
}

// FuzzEvents: malformed output of a suite process, which may come from a guest, loses
// only its own cell.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{"", "{}", "[]", "null", `{"started":"a/b"}`, `{"finished":{"scenario":"a/b","steps":[{}]}}`, `{"finished":null}`, `{"finished":{"steps":[{"outcome":{"signals":[null]}}]}}`, "\x00\n\n{", "{\"finished\":" + strings.Repeat("[", 20_000), "::error::\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		first, last := `{"finished":{"scenario":"first"}}`, `{"finished":{"scenario":"last"}}`
		var cells []observe.Cell
		lines := 0
		err := readEvents(io.MultiReader(strings.NewReader(first+"\n"), bytes.NewReader(said), strings.NewReader("\n"+last+"\n"), strings.NewReader("half")),
			func() { lines++ }, func(e scenario.Event) {
				if e.Finished != nil {
					cells = append(cells, *e.Finished)
				}
			})
		if n := len(cells); n < 2 || cells[0].Scenario != "first" || cells[n-1].Scenario != "last" || n > lines || lines != bytes.Count(said, []byte{'\n'})+3 {
			t.Fatalf("got %d cells of %d lines, error %v; want those of the first, the last and every whole line", len(cells), lines, err)
		}
	})
}
