package build

import (
	"bufio"
	"os"
	"path"
	"regexp"
	"strings"
)

// blame is the cause of a build failure.
type blame int

const (
	tree    blame = iota // the source, its configuration or the compiler
	full                 // the disk is full
	memory               // the machine ran out of memory
	missing              // a program or a header is missing
)

// failure describes why a build failed.
type failure struct {
	line   string // from the log
	blame  blame
	advice string // "" if the source does not fit its compiler
	// what is missing, and the Debian package that contains it; "" if unknown.
	what, pkg string
}

// reasons match what make's programs print when they fail; special cases come first. The
// first matching line of a log is the reason of the failure.
var reasons = []struct {
	is     *regexp.Regexp
	blame  blame
	advice string
}{
	{regexp.MustCompile(`No space left on device|Disk quota exceeded`), full, ""},
	{
		regexp.MustCompile(
			`\bKilled\b(?:\]| |$)|[Oo]ut of memory|Cannot allocate memory|\bmemory exhausted|std::bad_alloc|terminated with signal 9|\*\*\* \[.*\] Error 137$`,
		),
		memory,
		"",
	},
	{
		regexp.MustCompile(
			`FAILED:? .*BTF|^FAILED unresolved symbol |Failed to generate BTF|BTF: .*(?:not available|too old|failed)|^pahole: |^libbpf: .*BTF|` +
				`[Ff]ailed to encode BTF|[Ee]rror .*encoding BTF`,
		),
		tree,
		"this machine's pahole (package dwarves) does not work with the tree: unset CONFIG_DEBUG_INFO_BTF in the configuration (?config=FILE), or install another pahole",
	},
	{
		regexp.MustCompile(`^ERROR: modpost: Section mismatches detected`),
		tree,
		"set CONFIG_SECTION_MISMATCH_WARN_ONLY=y in the configuration (?config=FILE), or fix the tree",
	},
	{
		regexp.MustCompile(`^ERROR: (?:modpost: )?"\S+" \[\S+\] undefined!`),
		tree,
		"a module needs a symbol that this configuration does not build: build it in, or disable the module, in the configuration (?config=FILE)",
	},
	{
		regexp.MustCompile(
			`error\[E\d+\]|error: could not compile|\brustc\b.*(?:error|not found|too old)|[Rr]ust (?:compiler|bindings generator).*(?:not|too)|bindgen.*(?:error|panicked)`,
		),
		tree,
		"unset CONFIG_RUST in the configuration (?config=FILE), or install what the tree needs (see make rustavailable)",
	},
	{regexp.MustCompile(`The source tree is not clean`), tree, "run make mrproper in it, to remove in-tree build output"},
	{regexp.MustCompile(`No rule to make target '[^']*(?:certs/|\.pem|\.x509)`), tree,
		"clear CONFIG_SYSTEM_TRUSTED_KEYS and other symbols that name key files in the configuration (?config=FILE)"},
	{
		regexp.MustCompile(`\bKconfig\S*:\d+:\s*(?:error|syntax error|can't open)|No rule to make target|\*\*\* .*  Stop\.$`),
		tree,
		unknown,
	},
	{
		regexp.MustCompile(
			`(?:fatal )?error: |:\d+: Error: |undefined reference to|multiple definition of|relocation truncated|` +
				`error: objtool|objtool: .*(?:failed|can't|unsupported)|ld(?:\.\w+)?: (?:cannot|final link failed)|syntax error`,
		),
		tree,
		"",
	},
	{regexp.MustCompile(`^(?:ERROR|FAILED|FATAL)\b`), tree, unknown},
}

// unknown is the advice if nothing indicates the compiler.
const unknown = "see the log around this line, and fix the tree or its configuration (?config=FILE)"

var (
	reMake = regexp.MustCompile(`^(?:make|\S*Makefile).*\*\*\* `)
	// reProgress matches make's own progress messages, which no other program prints.
	reProgress = regexp.MustCompile(
		`^  \S+ +\S|^make\[?\d*\]?: (?:Entering|Leaving|Nothing|warning)|^\s*$|^(?:WARNING|warning): `,
	)
	// reQuoted matches make's progress messages, and source lines quoted by a compiler:
	// their text is not an error message.
	reQuoted = regexp.MustCompile(`^  [A-Z][A-Z0-9_]*(?: \[M\])? |^ *\d* \|`)
	// reProgram matches the message of a shell, or make itself, about a missing program.
	reProgram = regexp.MustCompile(
		`^\S*sh: .*?([^ :]+): (?:command )?not found$|: line \d+: ([^ :]+): command not found$|` +
			`^make\S*: ([^ :/]+): (?:No such file or directory|[Cc]ommand not found)$|^/usr/bin/env: ['‘]?([^ '’]+)['’]?: No such file or directory$`,
	)
	reInstall = regexp.MustCompile(`please install (lib[\w-]+-dev)\b`)
	reHeader  = regexp.MustCompile(`fatal error: (\S+\.h): No such file or directory`)
)

// packages maps programs and headers used by kernel builds to their Debian packages.
var packages = map[string]string{
	"flex":         "flex",
	"bison":        "bison",
	"bc":           "bc",
	"perl":         "perl",
	"python3":      "python3",
	"python":       "python-is-python3",
	"openssl":      "openssl",
	"cpio":         "cpio",
	"rsync":        "rsync",
	"pahole":       "dwarves",
	"xz":           "xz-utils",
	"zstd":         "zstd",
	"lz4":          "lz4",
	"lz4c":         "lz4",
	"lzop":         "lzop",
	"bzip2":        "bzip2",
	"gzip":         "gzip",
	"depmod":       "kmod",
	"objcopy":      "binutils",
	"ld":           "binutils",
	"rustc":        "rustc",
	"bindgen":      "bindgen",
	"clang":        "clang",
	"gawk":         "gawk",
	"awk":          "mawk",
	"libelf.h":     "libelf-dev",
	"gelf.h":       "libelf-dev",
	"gmp.h":        "libgmp-dev",
	"mpc.h":        "libmpc-dev",
	"zlib.h":       "zlib1g-dev",
	"zstd.h":       "libzstd-dev",
	"dwarf.h":      "libdw-dev",
	"stdio.h":      "libc6-dev",
	"gcc-plugin.h": "gcc-12-plugin-dev",
}

// packageOf returns the package that contains a program or a header; "" if unknown.
func packageOf(name string) string {
	if strings.HasPrefix(name, "openssl/") {
		return "libssl-dev"
	}
	if strings.HasPrefix(name, "elfutils/") {
		return "libdw-dev"
	}
	return packages[path.Base(name)]
}

// firstFailure returns the first line of a log that explains why make failed, and
// its cause.
func firstFailure(file string) failure {
	f, err := os.Open(file)
	if err != nil {
		return failure{}
	}
	defer f.Close()
	var found, byMake, shell, before failure
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // for a linker's command line
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
		case now.blame == full: // takes precedence over earlier lines
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

// reason classifies a line of the log; the result is zero if the line explains nothing.
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
