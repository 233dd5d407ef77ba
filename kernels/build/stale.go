package build

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Stale counts the files of a source that make would recompile into objects, and all that
// are compiled there: an object is stale if it is older than one of its inputs, or if
// one of its inputs is in changed, which has paths in the source. The inputs are in the
// files that the kernel's make leaves beside the objects (scripts/basic/fixdep.c). Stale
// takes some tenths of a second; make -n, which gives the same answer, takes seconds.
func Stale(source, objects string, changed map[string]bool) (stale, all int, err error) {
	for _, dir := range []*string{&source, &objects} {
		if *dir, err = filepath.EvalSymlinks(*dir); err != nil { // as in make's output
			return 0, 0, err
		}
	}
	var files []string
	err = filepath.WalkDir(objects, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ".") && strings.HasSuffix(d.Name(), ".cmd") {
			files = append(files, p)
		}
		if errors.Is(err, fs.ErrNotExist) && p != objects { // a build is running
			return nil
		}
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	workers := make([]scan, runtime.NumCPU())
	var g errgroup.Group
	for i := range workers {
		g.Go(func() error {
			s := &workers[i]
			*s = scan{source: source + "/", objects: objects, changed: changed, times: map[string]time.Time{}}
			for j := i; j < len(files); j += len(workers) {
				if err := s.file(files[j]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = g.Wait()
	for _, s := range workers {
		stale, all = stale+s.stale, all+s.all
	}
	return stale, all, err
}

// scan reads the inputs of objects.
type scan struct {
	source, objects string
	changed         map[string]bool
	times           map[string]time.Time // modification times, or zero
	stale, all      int
}

// file counts one object.
func (s *scan) file(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name, madeOf := parse(data)
	if name == nil {
		return nil // linked, or generated
	}
	s.all++
	object, err := os.Stat(s.in(string(name)))
	if err != nil {
		s.stale++
		return nil
	}
	for file := range madeOf {
		if s.newer(file, object.ModTime()) {
			s.stale++
			return nil
		}
	}
	return nil
}

var (
	sourceOf = []byte("\nsource_")
	depsOf   = []byte("deps_")
	set      = []byte(" := ")
	rule     = []byte(": $(deps_") // follows the list
)

// parse parses make's record of an object: its name, nil if it was not compiled, and its
// inputs, the source first. The source is in "source_NAME := FILE"; the others are lines
// of "deps_NAME := \", each with a backslash at its end.
func parse(data []byte) (name []byte, madeOf iter.Seq[[]byte]) {
	at := bytes.Index(data, sourceOf)
	if at < 0 {
		return nil, nil
	}
	line, rest, _ := bytes.Cut(data[at+len(sourceOf):], []byte("\n"))
	name, main, ok := bytes.Cut(line, set)
	if !ok {
		return nil, nil
	}
	return name, func(yield func([]byte) bool) {
		if !yield(main) {
			return
		}
		for line := range bytes.Lines(rest) {
			line = bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(line), []byte(`\`)))
			switch {
			case len(line) == 0, line[0] == '$', bytes.HasPrefix(line, depsOf):
			case bytes.Contains(line, rule) || !yield(line):
				return
			}
		}
	}
}

// newer reports whether a file is about to change, or did after an object was made.
func (s *scan) newer(file []byte, made time.Time) bool {
	t, known := s.times[string(file)]
	if !known {
		path := s.in(string(file)) // ccache makes paths below CCACHE_BASEDIR relative
		if in, ok := strings.CutPrefix(path, s.source); ok && s.changed[in] {
			t = time.Unix(1<<40, 0)
		} else if info, err := os.Stat(path); err == nil {
			t = info.ModTime()
		}
		s.times[string(file)] = t
	}
	return t.After(made)
}

// in returns the path of a file named by make, which runs in the build directory.
func (s *scan) in(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.objects, name)
}
