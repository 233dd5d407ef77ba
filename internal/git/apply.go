package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

// ApplyError reports a patch that does not apply, or that changes nothing.
type ApplyError struct {
	Patch string // its file or commit, with its subject where it has one
	// Present reports that the tree already has the patch.
	Present bool
	// Hunks are those that fail: "drivers/nvdimm/pmem.c @@ -258,7 +258,7 @@ …".
	Hunks []string
	// Reason is git's message if no hunk is at fault.
	Reason string
	// Hint is a possible cause in the patch's mail, or where the tree has its lines in
	// another function, or "".
	Hint string
}

func (e *ApplyError) Error() string {
	if e.Present {
		return e.Patch + " is already present: it changes nothing"
	}
	why := e.Reason
	if len(e.Hunks) > 0 {
		why = strings.Join(e.Hunks, "; ")
	}
	if e.Hint != "" {
		why += "; " + e.Hint
	}
	return fmt.Sprintf("%s does not apply: %s", e.Patch, why)
}

// ErrKind implements errkind.Kinder.
func (e *ApplyError) ErrKind() errkind.Kind { return errkind.Request }

// Edit is a change to a tree before it is built: either the patches of a file, or a
// commit that is applied or reverted.
type Edit struct {
	// File is a file of patches: a plain diff, or the mails of one series, as written by
	// git format-patch, b4 or a mailing list archive.
	File string
	// Commit is the hash of a commit with one parent.
	Commit string
	// Revert reverts the commit.
	Revert bool
}

// Patch is a patch that an edit applies.
type Patch struct {
	// From is the name of its file, or its abbreviated commit; Subject may be "".
	From, Subject string
	// Present reports that the tree already had the patch: it changes nothing.
	Present bool

	diff []byte
	hint string // see ApplyError
	// from and to are the commits whose difference it is, or "".
	from, to string
}

// String returns its file or commit with its subject: "backport.mbox (dax: fix it)".
func (p Patch) String() string {
	if p.Subject == "" {
		return p.From
	}
	return fmt.Sprintf("%s (%s)", p.From, p.Subject)
}

// Applied is the result of Apply.
type Applied struct {
	Tree    string // its hash
	Patches []Patch
	// Notes list the parts of the files that were not applied, and why.
	Notes []string
}

// Apply applies edits to a tree. The error is an *ApplyError if an edit does not apply,
// or if all of them are already present.
func (r *Repo) Apply(ctx context.Context, tree string, edits []Edit) (Applied, error) {
	tree, err := r.Run(ctx, nil, "rev-parse", "--verify", tree)
	out := Applied{Tree: tree}
	if err != nil || len(edits) == 0 {
		return out, err
	}
	work, err := os.MkdirTemp(r.dir, "apply-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(work)
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(work, "index")}
	if _, err := r.Output(ctx, env, nil, "read-tree", tree); err != nil {
		return out, err
	}
	var present []string
	for _, e := range edits {
		patches, notes, err := r.patches(ctx, e)
		if err != nil {
			return out, err
		}
		out.Notes = append(out.Notes, notes...)
		for _, p := range patches {
			before := out.Tree
			if out.Tree, err = r.apply(ctx, env, before, p); err != nil {
				return out, err
			}
			if p.Present = out.Tree == before; p.Present {
				present = append(present, p.String())
			}
			out.Patches = append(out.Patches, p)
		}
	}
	if len(present) == len(out.Patches) {
		return out, &ApplyError{Patch: strings.Join(present, ", "), Present: true}
	}
	if out.Tree == tree { // a patch, and its revert
		last := out.Patches[len(out.Patches)-1]
		return out, &ApplyError{Patch: last.String(), Reason: "with it, the patches cancel each other out"}
	}
	return out, nil
}

// apply applies a patch to the tree in the index, and returns the resulting tree. Like
// git cherry-pick and git am -3, it does a three-way merge if the blobs that the patch
// was made against are known, which finds the right one of several similar places; else
// git falls back to the diff alone.
func (r *Repo) apply(ctx context.Context, env []string, tree string, p Patch) (string, error) {
	level, err := r.level(ctx, tree, p.diff)
	if err != nil {
		return "", err
	}
	apply := []string{"apply", "--cached", "--whitespace=nowarn", fmt.Sprintf("-p%d", level)}
	_, err = r.Output(ctx, env, p.diff, append(apply, "--3way", "-")...)
	if err == nil {
		return r.Run(ctx, env, "write-tree")
	}
	var merge, failed *execx.RunError
	if !errors.As(err, &merge) {
		return "", err
	}
	if _, err := r.Output(ctx, env, nil, "read-tree", tree); err != nil { // drop the conflicts
		return "", err
	}
	present, elsewhere, err := r.present(ctx, env, tree, p.diff, apply)
	if err != nil || present {
		return tree, err
	}
	if p.from != "" {
		if merged, err := r.merge(ctx, tree, p); err != nil || merged != "" {
			return merged, err
		}
	}
	e := &ApplyError{Patch: p.String(), Hint: cmp.Or(elsewhere, p.hint)}
	_, err = r.Output(ctx, env, p.diff, append(apply, "--check", "-")...)
	switch {
	case errors.As(err, &failed):
		e.Hunks = failedHunks(failed.Stderr, p.diff)
		e.Reason, _, _ = strings.Cut(strings.TrimPrefix(failed.Stderr, "error: "), "\n")
		switch {
		case reCombined.Match(p.diff):
			e.Reason = "its hunks begin with @@@: git does not apply the combined diff of a merge"
		case reCorrupt.MatchString(e.Reason):
			e.Reason += ": the diff is truncated, or a mailer wrapped or trimmed its lines"
		}
	case err != nil:
		return "", err
	default:
		e.Reason = "it conflicts with the tree"
		for _, m := range reConflict.FindAllStringSubmatch(merge.Stderr, -1) {
			e.Hunks = append(e.Hunks, m[1]+" conflicts with the tree")
		}
	}
	return "", e
}

// merge returns the tree that git cherry-pick makes if the tree has the files of a commit
// under other names; "" on a conflict, or if git is older than 2.38. git merge-tree
// computes the merge base of two commits, so merge creates commits that have one.
func (r *Repo) merge(ctx context.Context, tree string, p Patch) (string, error) {
	commit := func(tree string, parents ...string) (string, error) {
		args := []string{"commit-tree", "-m", "merge", tree}
		for _, parent := range parents {
			args = append(args, "-p", parent)
		}
		return r.Run(ctx, []string{"GIT_AUTHOR_DATE=@0 +0000", "GIT_COMMITTER_DATE=@0 +0000"}, args...)
	}
	base, err := commit(p.from + "^{tree}")
	if err != nil {
		return "", err
	}
	ours, err := commit(tree, base)
	if err != nil {
		return "", err
	}
	theirs, err := commit(p.to+"^{tree}", base)
	if err != nil {
		return "", err
	}
	merged, err := r.Run(ctx, nil, "merge-tree", "--write-tree", "--no-messages", ours, theirs)
	if failed := (*execx.RunError)(nil); errors.As(err, &failed) {
		return "", nil
	}
	return merged, err
}

var (
	reFailed   = regexp.MustCompile(`(?m)^error: patch failed: (.*):(\d+)$`)
	reHunk     = regexp.MustCompile(`^@@ -(\d+)`)
	reCorrupt  = regexp.MustCompile(`^(corrupt patch at|patch with only garbage at|patch fragment without header)`)
	reConflict = regexp.MustCompile(`(?m)^Applied patch to '(.*)' with conflicts\.$`)
	reNames    = regexp.MustCompile(`(?m)^--- ([^\t\n]+).*\n\+\+\+ ([^\t\n]+).*\n@@ -\d`)
)

// failedHunks returns the hunks in the errors of git apply, by file and old line.
func failedHunks(stderr string, diff []byte) []string {
	var out []string
	for _, m := range reFailed.FindAllStringSubmatch(stderr, -1) {
		hunk, in := "line "+m[2], false
		for line := range strings.Lines(string(diff)) {
			line = strings.TrimRight(line, "\r\n")
			if name, ok := strings.CutPrefix(line, "--- "); ok {
				name, _, _ = strings.Cut(name, "\t") // a timestamp
				in = strings.HasSuffix(name, "/"+m[1]) || name == m[1]
			}
			if h := reHunk.FindStringSubmatch(line); in && h != nil && h[1] == m[2] {
				hunk = line
			}
		}
		out = append(out, m[1]+" "+hunk)
	}
	return out
}

// level returns the number of leading folders to strip from the paths of a patch, as
// patch(1)'s -p: one if they are git's (a/, b/); else the smallest for which the tree has
// a changed file, or the folder of a new one.
func (r *Repo) level(ctx context.Context, tree string, diff []byte) (int, error) {
	const usual, deepest = 1, 9
	var names []string
	for _, m := range reNames.FindAllSubmatch(diff, -1) {
		from, to := string(m[1]), string(m[2])
		switch {
		case (strings.HasPrefix(from, "a/") || from == os.DevNull) && (strings.HasPrefix(to, "b/") || to == os.DevNull):
			return usual, nil
		case from == os.DevNull:
			names = append(names, to)
		default:
			names = append(names, from)
		}
	}
	var ask bytes.Buffer
	var levels []int // of each line that is queried
	put := func(level int, path string) {
		if parts := strings.Split(path, "/"); len(parts) > level && path != "." {
			fmt.Fprintf(&ask, "%s:%s\n", tree, strings.Join(parts[level:], "/"))
			levels = append(levels, level)
		}
	}
	tried := []int{usual, 0}
	for level := usual + 1; level <= deepest; level++ {
		tried = append(tried, level)
	}
	for _, level := range tried {
		for _, n := range names {
			put(level, n)
		}
	}
	for _, level := range []int{usual, 0} {
		for _, n := range names {
			put(level, path.Dir(n))
		}
	}
	if len(levels) == 0 {
		return usual, nil
	}
	answers, err := r.Output(ctx, nil, ask.Bytes(), "cat-file", "--batch-check=%(objecttype)")
	if err != nil {
		return 0, err
	}
	for answer := range strings.Lines(string(answers)) {
		if !strings.HasSuffix(answer, " missing\n") {
			return levels[0], nil
		}
		levels = levels[1:]
	}
	return usual, nil
}

// patches returns the patches of an edit, in order, and notes about what is left out.
func (r *Repo) patches(ctx context.Context, e Edit) ([]Patch, []string, error) {
	if e.Commit == "" {
		return r.file(ctx, e.File)
	}
	p, err := r.commit(ctx, e)
	return []Patch{p}, nil, err
}

func (r *Repo) commit(ctx context.Context, e Edit) (Patch, error) {
	parents, err := r.Run(ctx, nil, "rev-list", "--parents", "--no-walk", e.Commit)
	if err != nil {
		return Patch{}, err
	}
	named, err := r.Run(ctx, nil, "log", "--max-count=1", "--no-patch", "--abbrev=12", "--format=%h %s", e.Commit)
	if err != nil {
		return Patch{}, err
	}
	p := Patch{}
	p.From, p.Subject, _ = strings.Cut(named, " ")
	if n := len(strings.Fields(parents)); n != 2 {
		return p, &ApplyError{Patch: p.String(), Reason: fmt.Sprintf("it has %d parents, not one", n-1)}
	}
	from, to := e.Commit+"^", e.Commit
	if e.Revert {
		from, to = to, from
		p.From = "the revert of " + p.From
	}
	p.from, p.to = from, to
	p.diff, err = r.Output(ctx, nil, nil, "diff-tree", "-p", "--full-index", "--binary",
		"--no-ext-diff", "--no-textconv", from, to)
	if err == nil && len(p.diff) == 0 {
		err = &ApplyError{Patch: p.String(), Reason: "the commit changes no file"}
	}
	return p, err
}
