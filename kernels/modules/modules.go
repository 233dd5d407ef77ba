// Package modules reads a kernel's modules directory (lib/modules/REL): which
// files a module needs, in which order, and their contents. It reads the
// target's own modules.dep, never the host's /sys, unlike "modprobe
// --show-depends". It loads nothing and writes nothing.
package modules

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz" // not ulikunitz/xz: kernels are filtered for x86 (BCJ), which that one lacks

	"github.com/faultline/faultline/internal/limitread"
)

// Index is an index of the modules of one directory. Use Open.
type Index struct {
	dir     string
	deps    map[string]entry    // by module name
	builtin map[string]bool     // by module name
	soft    map[string][]string // module name: names or aliases to load first
	alias   map[string][]string // alias without wildcards: module names
}

type entry struct {
	path string   // relative to dir
	deps []string // names
}

// File is one module file of a kernel.
type File struct {
	// Name is the module's name as printed by lsmod, with underscores.
	Name string
	// Path is the file's path, below the directory given to Open.
	Path string
	// Soft marks a module that is needed only by a soft dependency (MODULE_SOFTDEP
	// "pre:"), and its dependencies. It may refuse to load, as crc32c_intel does on
	// a processor without SSE4.2: that is not an error.
	Soft bool
}

// UnknownError lists the modules that the kernel has neither as files nor built in.
type UnknownError struct {
	Dir   string
	Names []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("find modules in %s: no module named %s; use a kernel that has them, or leave out what needs them",
		e.Dir, strings.Join(e.Names, ", "))
}

// Open reads modules.dep of the directory, and modules.builtin, modules.softdep
// and modules.alias if present.
func Open(dir string) (*Index, error) {
	data, err := limitread.ReadFile(filepath.Join(dir, "modules.dep"), maxList)
	if err != nil {
		return nil, fmt.Errorf("read module dependencies: %w; create the file with depmod -b", err)
	}
	x, err := parseDep(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w; recreate the file with depmod -b", filepath.Join(dir, "modules.dep"), err)
	}
	x.dir = dir
	for name, parse := range map[string]func([]byte){
		"modules.builtin": x.parseBuiltin, "modules.softdep": x.parseSoft, "modules.alias": x.parseAlias,
	} {
		data, err := limitread.ReadFile(filepath.Join(dir, name), maxList)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the modules folder: %w", err)
		}
		parse(data)
	}
	return x, nil
}

// parseDep parses modules.dep(5): "path: path path...", the module first, then
// all its dependencies, direct or not.
func parseDep(data []byte) (*Index, error) {
	x := &Index{
		deps: map[string]entry{}, builtin: map[string]bool{},
		soft: map[string][]string{}, alias: map[string][]string{},
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		file, rest, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("line %d: %.60q is not PATH: PATH...", n, text)
		}
		var deps []string
		for _, p := range append(strings.Fields(rest), file) {
			if !fs.ValidPath(p) || !IsModule(p) {
				return nil, fmt.Errorf("line %d: %.60q is not the path of a module below the folder", n, p)
			}
			deps = append(deps, Name(p))
		}
		x.deps[Name(file)] = entry{path: file, deps: deps[:len(deps)-1]}
	}
	return x, nil
}

func (x *Index) parseBuiltin(data []byte) {
	for f := range strings.FieldsSeq(string(data)) {
		x.builtin[Name(f)] = true
	}
}

// parseSoft parses lines such as "softdep ext4 pre: crc32c post: foo".
func (x *Index) parseSoft(data []byte) {
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "softdep" {
			continue
		}
		pre := false
		for _, w := range f[2:] {
			switch {
			case w == "pre:":
				pre = true
			case strings.HasSuffix(w, ":"):
				pre = false
			case pre:
				x.soft[canonical(f[1])] = append(x.soft[canonical(f[1])], w)
			}
		}
	}
}

// parseAlias parses lines such as "alias crc32c crc32c_generic". Those with
// wildcards match devices, and are not used by name.
func (x *Index) parseAlias(data []byte) {
	for line := range bytes.Lines(data) {
		if bytes.ContainsAny(line, "*?[:") { // nearly all, some 30,000
			continue
		}
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "alias" {
			a := canonical(f[1])
			x.alias[a] = append(x.alias[a], canonical(f[2]))
		}
	}
}

// Modules returns the files to load for the named modules, in load order:
// dependencies first, each file once, without built-in modules. Names may be
// written with - or _, and may be aliases. If the kernel does not have some of
// the names, the error is an *UnknownError; the files of the other names are
// returned with it.
func (x *Index) Modules(names ...string) ([]File, error) {
	w := walk{x: x, at: map[string]int{}, open: map[string]bool{}}
	var unknown []string
	for _, name := range names {
		if !w.add(name) {
			unknown = append(unknown, name)
		}
	}
	if w.tooDeep {
		return nil, fmt.Errorf(
			"%s: dependencies are more than %d deep; recreate it with depmod -b",
			filepath.Join(x.dir, "modules.dep"),
			mostDeep,
		)
	}
	if unknown != nil {
		return w.files, &UnknownError{Dir: x.dir, Names: unknown}
	}
	return w.files, nil
}

// walk orders modules. at is the position of a module in files. stack has the modules
// whose dependencies are being added, each required by the one below it; open has their
// names, because soft dependencies may be cyclic.
type walk struct {
	x     *Index
	files []File
	at    map[string]int
	stack []visit
	open  map[string]bool
	// tooDeep reports whether dependencies were deeper than mostDeep.
	tooDeep bool
}

// visit is a module, or an alias, that is being added.
type visit struct {
	name  string
	soft  bool
	alias bool
	first []string // soft dependencies; the targets of an alias
	deps  []string
	next  int // index of the next in first and deps
}

// mostDeep bounds the depth of dependencies. depmod lists all dependencies of a module
// on its own line, so those of a kernel are some ten deep including the soft ones.
const mostDeep = 1000

// add adds a module after all its dependencies, and reports whether it exists.
func (w *walk) add(name string) bool {
	known := w.enter(name, false)
	for len(w.stack) > 0 {
		v := &w.stack[len(w.stack)-1]
		i := v.next
		v.next++
		switch {
		case i < len(v.first):
			w.enter(v.first[i], v.soft || !v.alias)
		case i < len(v.first)+len(v.deps):
			// modules.dep lists the last dependency first; modprobe loads in reverse order.
			w.enter(v.deps[len(v.first)+len(v.deps)-1-i], v.soft)
		default:
			w.leave()
		}
	}
	return known
}

// enter starts to add a module, and reports whether it exists.
func (w *walk) enter(name string, soft bool) bool {
	name = canonical(name)
	if len(w.stack) > mostDeep {
		w.tooDeep = true
		return false
	}
	e, ok := w.x.deps[name]
	if !ok {
		v := visit{name: name, soft: soft, alias: true}
		for _, target := range w.x.alias[name] {
			if target != name && w.x.known(target) {
				v.first = append(v.first, target)
			}
		}
		if !w.x.builtin[name] && len(v.first) > 0 {
			w.stack = append(w.stack, v)
			return true
		}
		return w.x.builtin[name]
	}
	if i, done := w.at[name]; done {
		if soft || !w.files[i].Soft {
			return true
		}
		w.files[i].Soft = false // and so for its dependencies
	}
	if !w.open[name] {
		w.open[name] = true
		w.stack = append(w.stack, visit{name: name, soft: soft, first: w.x.soft[name], deps: e.deps})
	}
	return true
}

// leave completes the module on top of the stack, whose dependencies have all been added.
func (w *walk) leave() {
	v := w.stack[len(w.stack)-1]
	w.stack = w.stack[:len(w.stack)-1]
	if v.alias {
		return
	}
	delete(w.open, v.name)
	if _, done := w.at[v.name]; !done {
		w.at[v.name] = len(w.files)
		file := filepath.Join(w.x.dir, filepath.FromSlash(w.x.deps[v.name].path))
		w.files = append(w.files, File{Name: v.name, Path: file, Soft: v.soft})
	}
}

func (x *Index) known(name string) bool { _, ok := x.deps[name]; return ok || x.builtin[name] }

// Builtin reports whether a module is built into the kernel.
func (x *Index) Builtin(name string) bool { return x.builtin[canonical(name)] }

// Has reports whether the kernel has the module, as a file or built in.
func (x *Index) Has(name string) bool { return x.known(canonical(name)) }

// Names returns the names of all module files, sorted.
func (x *Index) Names() []string {
	names := make([]string, 0, len(x.deps))
	for n := range x.deps {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

var suffixes = []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"}

// IsModule reports whether a file's name is that of a module, compressed or not.
func IsModule(file string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(file, s) && path.Base(file) != s {
			return true
		}
	}
	return false
}

// Name returns the name of the module in a file: its base name, without suffix, with
// underscores for dashes.
func Name(file string) string {
	base := path.Base(filepath.ToSlash(file))
	for _, s := range suffixes {
		if n, ok := strings.CutSuffix(base, s); ok {
			return canonical(n)
		}
	}
	return canonical(base)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// MaxBytes bounds the size of a module's file, and its decompressed size. The
// largest of Debian's are below 20 MB.
const MaxBytes = 256 << 20

// maxList bounds modules.dep and similar files, in bytes. Debian's have at most 2 MB.
const maxList = 16 << 20

// windowMax bounds the window of a zstd-compressed module, in bytes: zstd -22 --ultra
// uses as much.
const windowMax = 128 << 20

// Read returns a module file's content, decompressed (.ko, .ko.xz, .ko.zst and
// .ko.gz), in the form that init_module(2) of any kernel accepts.
func Read(file string) ([]byte, error) {
	data, err := limitread.ReadFile(file, MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	out, err := decompress(file, data)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", file, err)
	}
	return out, nil
}

func decompress(file string, data []byte) ([]byte, error) {
	var r io.Reader
	switch path.Ext(file) {
	case ".xz":
		x, err := xz.NewReader(bytes.NewReader(data), xz.DefaultDictMax)
		if err != nil {
			return nil, err
		}
		r = x
	case ".zst":
		z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(windowMax))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case ".gz":
		g, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		r = g
	default:
		return data, nil
	}
	out, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err == nil && len(out) > MaxBytes {
		err = fmt.Errorf("more than %d bytes", MaxBytes)
	}
	return out, err
}

// Release returns the kernel release that a module was built for, from the vermagic
// in its .modinfo section ("vermagic=6.1.0-56-amd64 SMP preempt..."), or "".
// module is the file's decompressed content.
func Release(module []byte) string {
	_, rest, ok := bytes.Cut(module, []byte("\x00vermagic="))
	if !ok {
		if rest, ok = bytes.CutPrefix(module, []byte("vermagic=")); !ok {
			return ""
		}
	}
	rest = rest[:min(len(rest), 128)]
	if i := bytes.IndexAny(rest, " \x00"); i >= 0 {
		return string(rest[:i])
	}
	return ""
}
