package build

import (
	"bufio"
	"os"
	"path"
	"regexp"
	"strings"
)

// blame is whose a build's failure is.
type blame int

const (
	tree    blame = iota // the source's, its configuration's or the compiler's
	full                 // the disk's
	memory               // the machine's, which had too little
	missing              // of a program or a header that is not there
)

// failure is why a build failed.
type failure struct {
	line   string // of the log
	blame  blame
	advice string // "" for what the source and its compiler are at odds about
	// what is missing, and the Debian package that has it; "" where that is not known.
	what, pkg string
}

// reasons are what make's programs print when they fail, each before what it is a
// case of. The first line of a log that is one of them is why the build failed.
var reasons = []struct {
	is     *regexp.Regexp
	blame  blame
	advice string
}{
	{regexp.MustCompile(`No space left on device|Disk quota exceeded`), full, ""},
	{regexp.MustCompile(`\bKilled\b(?:\]| |$)|[Oo]ut of memory|Cannot allocate memory|\bmemory exhausted|std::bad_alloc|terminated with signal 9|\*\*\* \[.*\] Error 137$`), memory, ""},
	{regexp.MustCompile(`FAILED:? .*BTF|^FAILED unresolved symbol |Failed to generate BTF|BTF: .*(?:not available|too old|failed)|^pahole: |^libbpf: .*BTF|` +
		`[Ff]ailed to encode BTF|[Ee]rror .*encoding BTF`), tree,
		"this machine's pahole (package dwarves) and the tree do not fit: unset CONFIG_DEBUG_INFO_BTF in the configuration (?config=FILE), or install another pahole"},
	{regexp.MustCompile(`^ERROR: modpost: Section mismatches detected`), tree, "set CONFIG_SECTION_MISMATCH_WARN_ONLY=y in the configuration (?config=FILE), or mend the tree"},
	{regexp.MustCompile(`^ERROR: (?:modpost: )?"\S+" \[\S+\] undefined!`), tree,
		"a module needs what this configuration does not build: set it as a part of the kernel, or leave the module out, in the configuration (?config=FILE)"},
	{regexp.MustCompile(`error\[E\d+\]|error: could not compile|\brustc\b.*(?:error|not found|too old)|[Rr]ust (?:compiler|bindings generator).*(?:not|too)|bindgen.*(?:error|panicked)`), tree,
		"unset CONFIG_RUST in the configuration (?config=FILE), or install what the tree asks for (make rustavailable says it)"},
	{regexp.MustCompile(`The source tree is not clean`), tree, "run make mrproper in it, which removes what was built inside"},
	{regexp.MustCompile(`No rule to make target '[^']*(?:certs/|\.pem|\.x509)`), tree,
		"empty CONFIG_SYSTEM_TRUSTED_KEYS and what else names files of keys in the configuration (?config=FILE)"},
	{regexp.MustCompile(`\bKconfig\S*:\d+:\s*(?:error|syntax error|can't open)|No rule to make target|\*\*\* .*  Stop\.$`), tree, unknown},
	{regexp.MustCompile(`(?:fatal )?error: |:\d+: Error: |undefined reference to|multiple definition of|relocation truncated|` +
		`error: objtool|objtool: .*(?:failed|can't|unsupported)|ld(?:\.\w+)?: (?:cannot|final link failed)|syntax error`), tree, ""},
	{regexp.MustCompile(`^(?:ERROR|FAILED|FATAL)\b`), tree, unknown},
}

// unknown is the advice where nothing says that it is about the compiler.
const unknown = "see what the log says around it, and mend the tree or its configuration (?config=FILE)"

var (
	reMake = regexp.MustCompile(`^(?:make|\S*Makefile).*\*\*\* `)
	// reProgress finds what make prints of what it does, and no program of its own.
	reProgress = regexp.MustCompile(`^  \S+ +\S|^make\[?\d*\]?: (?:Entering|Leaving|Nothing|warning)|^\s*$|^(?:WARNING|warning): `)
	// reQuoted finds what make says that it does, and lines of a source that a compiler
	// shows: words in them are no errors.
	reQuoted = regexp.MustCompile(`^  [A-Z][A-Z0-9_]*(?: \[M\])? |^ *\d* \|`)
	// reProgram finds what a shell, or make itself, says of a program that is not there.
	reProgram = regexp.MustCompile(`^\S*sh: .*?([^ :]+): (?:command )?not found$|: line \d+: ([^ :]+): command not found$|` +
		`^make\S*: ([^ :/]+): (?:No such file or directory|[Cc]ommand not found)$|^/usr/bin/env: ['‘]?([^ '’]+)['’]?: No such file or directory$`)
	reInstall = regexp.MustCompile(`please install (lib[\w-]+-dev)\b`)
	reHeader  = regexp.MustCompile(`fatal error: (\S+\.h): No such file or directory`)
)

// packages are Debian's that have a program or a header which a kernel's build uses.
var packages = map[string]string{
	"flex": "flex", "bison": "bison", "bc": "bc", "perl": "perl", "python3": "python3", "python": "python-is-python3", "openssl": "openssl", "cpio": "cpio", "rsync": "rsync",
	"pahole": "dwarves", "xz": "xz-utils", "zstd": "zstd", "lz4": "lz4", "lz4c": "lz4", "lzop": "lzop", "bzip2": "bzip2", "gzip": "gzip", "depmod": "kmod",
	"objcopy": "binutils", "ld": "binutils", "rustc": "rustc", "bindgen": "bindgen", "clang": "clang", "gawk": "gawk", "awk": "mawk",
	"libelf.h": "libelf-dev", "gelf.h": "libelf-dev", "gmp.h": "libgmp-dev", "mpc.h": "libmpc-dev", "zlib.h": "zlib1g-dev", "zstd.h": "libzstd-dev",
	"dwarf.h": "libdw-dev", "stdio.h": "libc6-dev", "gcc-plugin.h": "gcc-12-plugin-dev",
}

// packageOf is the package that has a program or a header; "" where that is not known.
func packageOf(name string) string {
	if strings.HasPrefix(name, "openssl/") {
		return "libssl-dev"
	}
	if strings.HasPrefix(name, "elfutils/") {
		return "libdw-dev"
	}
	return packages[path.Base(name)]
}

// firstFailure is the first line of a log that says why make failed, and whose that is.
func firstFailure(file string) failure {
	f, err := os.Open(file)
	if err != nil {
		return failure{}
	}
	defer f.Close()
	var found, byMake, shell, before failure
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a command line of a linker's
	for lines.Scan() {
		text := strings.TrimRight(lines.Text(), " \t\r")
		line := strings.TrimSpace(text)
		now := failure{}
		if !reQuoted.MatchString(text) {
			now = reason(line)
		}
		if reMake.MatchString(line) && now.line == "" {
			if byMake.line == "" {
				byMake.line = line
			}
			if found.line == "" && shell.line != "" && strings.HasSuffix(line, "Error 127") {
				return shell
			}
			if found.line == "" && before.line != "" && !strings.HasSuffix(line, "Stop.") {
				found = before
			}
			continue
		}
		if m := reProgram.FindStringSubmatch(line); m != nil && shell.line == "" {
			shell = failure{line: line, blame: missing, what: path.Base(m[1] + m[2] + m[3] + m[4])}
			shell.pkg = packageOf(shell.what)
		}
		switch {
		case now.blame == full: // whatever came of it first
			return now
		case found.line == "":
			found = now
		}
		if !reProgress.MatchString(text) {
			before = failure{line: line, advice: unknown}
		}
	}
	if found.line == "" {
		return byMake
	}
	return found
}

// reason is what a line says of why a build failed; nothing of one that says nothing.
func reason(line string) failure {
	if m := reHeader.FindStringSubmatch(line); m != nil && packageOf(m[1]) != "" {
		return failure{line: line, blame: missing, what: m[1], pkg: packageOf(m[1])}
	}
	if m := reInstall.FindStringSubmatch(line); m != nil {
		return failure{line: line, blame: missing, what: strings.TrimSuffix(m[1], "-dev"), pkg: m[1]}
	}
	for _, r := range reasons {
		if r.is.MatchString(line) {
			return failure{line: line, blame: r.blame, advice: r.advice}
		}
	}
	return failure{}
}
