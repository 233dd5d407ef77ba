package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/faultline/faultline/internal/cache"
)

// takenOver checks how many cells of a folder were reused from other runs:
// takenover DIR 2.
func takenOver(ts *testscript.TestScript, neg bool, args []string) {
	all, err := cellsOf(ts.MkAbs(args[0]))
	ts.Check(err)
	n := 0
	for _, c := range all {
		if c.ObservedBy != "" {
			n++
		}
	}
	if got := strconv.Itoa(n); got != args[1] {
		ts.Fatalf("got %s reused cells of %s, want %s", got, args[0], args[1])
	}
}

// keptOf returns the files of cached cells of scenarios.
func keptOf(ts *testscript.TestScript, ids []string) (files []string) {
	for _, id := range ids {
		found, err := filepath.Glob(filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "faultline", "cells", "*", cache.Key(id)))
		ts.Check(err)
		files = append(files, found...)
	}
	return files
}

// forget removes the cached cells of scenarios: forget ID….
func forget(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range keptOf(ts, args) {
		ts.Check(os.Remove(f))
	}
}

// damage flips a bit of each cached cell of scenarios: damage ID….
func damage(ts *testscript.TestScript, neg bool, args []string) {
	files := keptOf(ts, args)
	if len(files) == 0 {
		ts.Fatalf("no cells of %v are cached", args)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		ts.Check(err)
		data[len(data)/2] ^= 1
		ts.Check(os.WriteFile(f, data, 0o600))
	}
}
