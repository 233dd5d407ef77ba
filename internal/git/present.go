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

// present reports whether a tree already has the result of a diff. git also finds the
// lines of a hunk elsewhere in the file, such as in a similar function: a hunk that is
// found at another line must be in the function that its header names. If it is not,
// elsewhere describes where its lines are.
func (r *Repo) present(
	ctx context.Context,
	env []string,
	tree string,
	diff []byte,
	apply []string,
) (there bool, elsewhere string, err error) {
	stderr, err := r.stderr(ctx, env, diff, append(apply, "--check", "--reverse", "--verbose", "-")...)
	if failed := (*execx.RunError)(nil); errors.As(err, &failed) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	var name string
	var lines []string // of that file in the tree
	for line := range strings.SplitSeq(stderr, "\n") {
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
			return false, fmt.Sprintf("the tree has the lines of %s @@ %s, but below %q", name, names, below), nil
		}
	}
	return true, "", nil
}

var (
	reChecking = regexp.MustCompile(`^Checking patch (?:.* => )?(.*)\.\.\.$`)
	reMoved    = regexp.MustCompile(`^Hunk #(\d+) succeeded at (\d+) \(offset`)
	reHeader   = regexp.MustCompile(`^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@ ?(.*)`)
	// reFunction matches the lines that git takes for the start of a function, by default
	// and in C, where labels are excluded (git's userdiff.c).
	reFunction = regexp.MustCompile(`^[A-Za-z_$]`)
	reLabel    = regexp.MustCompile(`^\w+:\s*(?:$|/[/*])`)
	reNamed    = regexp.MustCompile(`(\w+)\(`)
)

// hunk returns the function in the header of the nth hunk of a file, or "", and the
// number of lines by which the preceding hunks lengthen the file.
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

// count returns the line count in a hunk header; the default is one.
func count(digits []byte) int {
	if n, err := strconv.Atoi(string(digits)); err == nil {
		return n
	}
	return 1
}

// within reports whether a line of a file, counted from 1, is in the function that a hunk
// header names, whose arguments may differ. If it is not, below is the function it is in.
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

// sameFunction reports whether two lines start the same function. The name of a macro is
// not that of a function: SYSCALL_DEFINE3(read, and SYSCALL_DEFINE3(write, differ.
func sameFunction(a, b string) bool {
	x, y := reNamed.FindStringSubmatch(a), reNamed.FindStringSubmatch(b)
	return x != nil && y != nil && x[1] == y[1] && strings.ToUpper(x[1]) != x[1]
}
