package table

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/results"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; look at it, then run go test -update (-want +got):\n%s", path, diff)
	}
}

func TestWrite(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  results.Run
		opt  Options
	}{
		{"wide", demo.Run(), Options{Results: "results/latest"}},
		{"terminal-100", demo.Run(), Options{Width: 100}},
		{"terminal-80-five-kernels", demo.AddKernels(demo.Run(), 3), Options{Width: 80, OnlyDifferences: true}},
		{"trouble", demo.Troubled(), Options{Width: 120}},
		{"trouble-color", demo.Troubled(), Options{Width: 120, Color: true, OnlyDifferences: true}},
		{"not-compared", demo.Every()["not compared"], Options{Width: 120, OnlyDifferences: true}},
		{"empty", results.Run{}, Options{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Write(&b, tc.run, tc.opt); err != nil {
				t.Fatal(err)
			}
			golden(t, tc.name+".txt", b.String())
		})
	}
}

func TestKeepsWithinItsWidth(t *testing.T) {
	for width := minWidth; width <= 200; width++ {
		for _, run := range []results.Run{demo.Run(), demo.Troubled(), demo.AddKernels(demo.Run(), 4)} {
			var b bytes.Buffer
			if err := Write(&b, run, Options{Width: width}); err != nil {
				t.Fatal(err)
			}
			for _, l := range strings.Split(b.String(), "\n") {
				if utf8.RuneCountInString(l) > width {
					t.Fatalf("width %d: got a line of %d, want no longer one: %q", width, utf8.RuneCountInString(l), l)
				}
			}
		}
	}
}

func TestIsInert(t *testing.T) {
	for _, width := range []int{0, minWidth, 100} {
		for _, run := range []results.Run{demo.Troubled(), demo.Hostile()} {
			var b bytes.Buffer
			if err := Write(&b, run, Options{Width: width, Results: demo.HostileText}); err != nil {
				t.Fatal(err)
			}
			demo.Inert(t, b.String())
		}
	}
}
