package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/execx"
)

// present reports whether a tree has what a diff makes of it. git finds the lines of a
// hunk also elsewhere in the file, as those of a function that looks alike: a hunk that
// is found at another line has to be below what its header names. Else elsewhere is
// words for where its lines are.
func (r *Repo) present(ctx context.Context, env []string, tree string, diff []byte, apply []string) (there bool, elsewhere string, err error) {
	said, err := r.said(ctx, env, diff, append(apply, "--check", "--reverse", "--verbose", "-")...)
	if failed := (*execx.RunError)(nil); errors.As(err, &failed) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	var name string
	var lines []string // of that file in the tree
	for line := range strings.SplitSeq(said, "\n") {
		if m := reChecking.FindStringSubmatch(line); m != nil {
			name, lines = m[1], nil
			continue
		}
		m := reMoved.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if lines == nil {
			file, err := r.Output(ctx, nil, nil, "cat-file", "blob", tree+":"+name)
			if err != nil {
				return false, "", err
			}
			lines = strings.Split(string(file), "\n")
		}
		nth, _ := strconv.Atoi(m[1])
		at, _ := strconv.Atoi(m[2])
		names, grown := hunk(diff, name, nth)
		if below, ok := within(lines, at+grown, names); !ok {
			return false, fmt.Sprintf("the lines of %s @@ %s are there, below %q", name, names, below), nil
		}
	}
	return true, "", nil
}

var (
	reChecking = regexp.MustCompile(`^Checking patch (?:.* => )?(.*)\.\.\.$`)
	reMoved    = regexp.MustCompile(`^Hunk #(\d+) succeeded at (\d+) \(offset`)
	reHeader   = regexp.MustCompile(`^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@ ?(.*)`)
	// reFunction are the lines that git takes for the beginning of a function, by default
	// and in C, where labels are left out (userdiff.c of git).
	reFunction = regexp.MustCompile(`^[A-Za-z_$]`)
	reLabel    = regexp.MustCompile(`^\w+:\s*(?:$|/[/*])`)
	reNamed    = regexp.MustCompile(`(\w+)\(`)
)

// hunk is what the header of the nth hunk of a file names, or "", and by how many lines
// the hunks before it make the file longer.
func hunk(diff []byte, name string, nth int) (names string, grown int) {
	in, n := false, 0
	for line := range bytes.Lines(diff) {
		if to, ok := bytes.CutPrefix(line, []byte("+++ ")); ok {
			to, _, _ = bytes.Cut(bytes.TrimRight(to, "\r\n"), []byte("\t"))
			in, n = string(to) == name || strings.HasSuffix(string(to), "/"+name), 0
		}
		m := reHeader.FindSubmatch(line)
		if m == nil || !in {
			continue
		}
		if n++; n == nth {
			return strings.TrimSpace(string(m[3])), grown
		}
		grown += count(m[2]) - count(m[1])
	}
	return "", 0
}

// count is how many lines a header says; one where it does not.
func count(digits []byte) int {
	if n, err := strconv.Atoi(string(digits)); err == nil {
		return n
	}
	return 1
}

// within reports whether a line of a file, from 1, is below what a hunk's header names:
// the same function, whose arguments may be others. Else it is below another.
func within(lines []string, at int, names string) (below string, ok bool) {
	if names == "" {
		return "", true
	}
	for i := min(at-1, len(lines)) - 1; i >= 0; i-- {
		if !reFunction.MatchString(lines[i]) {
			continue
		}
		below = strings.TrimSpace(lines[i])
		if strings.HasPrefix(below, names) || sameFunction(below, names) {
			return below, true
		}
		if !reLabel.MatchString(lines[i]) {
			return below, false
		}
	}
	return "", false
}

// sameFunction reports whether two lines begin the same function. A macro's name is no
// function's: SYSCALL_DEFINE3(read, and SYSCALL_DEFINE3(write, are two.
func sameFunction(a, b string) bool {
	x, y := reNamed.FindStringSubmatch(a), reNamed.FindStringSubmatch(b)
	return x != nil && y != nil && x[1] == y[1] && strings.ToUpper(x[1]) != x[1]
}
