package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/tool"
)

// ApplyError is a patch that does not apply.
type ApplyError struct {
	Patch string // its file or commit, with its subject where it has one
	// Hunks are those that do not fit: "drivers/nvdimm/pmem.c @@ -258,7 +258,7 @@ …".
	Hunks []string
	// Reason is what git says where no hunk is to blame.
	Reason string
}

func (e *ApplyError) Error() string {
	if len(e.Hunks) == 0 {
		return fmt.Sprintf("%s does not apply: %s", e.Patch, e.Reason)
	}
	return fmt.Sprintf("%s does not apply: %s", e.Patch, strings.Join(e.Hunks, "; "))
}

// Fault implements fault.Kinder.
func (e *ApplyError) Fault() fault.Kind { return fault.Request }

// Edit is what is done to a tree before it is built: one of a file, or a commit
// that is applied or reverted.
type Edit struct {
	// File has patches: a plain diff, or one or more mails of git format-patch or b4.
	File string
	// Commit is the hash of a commit with one parent.
	Commit string
	// Revert takes the commit away instead.
	Revert bool
}

// Apply returns the hash of the tree that edits make of a tree. An edit that
// does not fit is an *ApplyError.
func (r *Repo) Apply(ctx context.Context, tree string, edits []Edit) (string, error) {
	if len(edits) == 0 {
		return tree, nil
	}
	work, err := os.MkdirTemp(r.dir, "apply-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(work, "index")}
	if _, err := r.Run(ctx, env, "read-tree", tree); err != nil {
		return "", err
	}
	for i, e := range edits {
		patches, err := r.patches(ctx, e, filepath.Join(work, strconv.Itoa(i)))
		if err != nil {
			return "", err
		}
		for _, p := range patches {
			if err := r.apply(ctx, env, p); err != nil {
				return "", err
			}
		}
	}
	return r.Run(ctx, env, "write-tree")
}

// Patch is one that an edit applies.
type Patch struct {
	// From is its file's name, or its commit, shortened; Subject is "" where it has none.
	From, Subject string

	diff []byte
}

// String names it: "backport.mbox (dax: say more)".
func (p Patch) String() string {
	if p.Subject == "" {
		return p.From
	}
	return fmt.Sprintf("%s (%s)", p.From, p.Subject)
}

// Patches are those that edits apply, in order.
func (r *Repo) Patches(ctx context.Context, edits []Edit) ([]Patch, error) {
	work, err := os.MkdirTemp(r.dir, "patches-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	var all []Patch
	for i, e := range edits {
		patches, err := r.patches(ctx, e, filepath.Join(work, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		all = append(all, patches...)
	}
	return all, nil
}

func (r *Repo) apply(ctx context.Context, env []string, p Patch) error {
	_, err := r.Feed(ctx, p.diff, env, "apply", "--cached", "--whitespace=nowarn", "-")
	var failed *tool.RunError
	if !errors.As(err, &failed) {
		return err
	}
	// As git am -3 does, where the blobs that it was made against are there.
	if _, again := r.Feed(ctx, p.diff, env, "apply", "--cached", "--3way", "--whitespace=nowarn", "-"); again == nil {
		return nil
	}
	e := &ApplyError{Patch: p.String(), Hunks: failedHunks(failed.Stderr, p.diff)}
	e.Reason, _, _ = strings.Cut(strings.TrimPrefix(failed.Stderr, "error: "), "\n")
	return e
}

var (
	reFailed = regexp.MustCompile(`(?m)^error: patch failed: (.*):(\d+)$`)
	reHunk   = regexp.MustCompile(`^@@ -(\d+)`)
)

// failedHunks are the hunks that git apply complains of, by file and old line.
func failedHunks(stderr string, diff []byte) []string {
	var out []string
	for _, m := range reFailed.FindAllStringSubmatch(stderr, -1) {
		hunk, in := "line "+m[2], false
		for line := range strings.Lines(string(diff)) {
			line = strings.TrimRight(line, "\r\n")
			if name, ok := strings.CutPrefix(line, "--- "); ok {
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

// patches takes an edit apart, in order; work is a folder for that.
func (r *Repo) patches(ctx context.Context, e Edit, work string) ([]Patch, error) {
	if e.Commit != "" {
		return r.commit(ctx, e)
	}
	data, err := os.ReadFile(e.File)
	if err != nil {
		return nil, fault.Requestf("read the patch: %w; give a file of git format-patch or b4", err)
	}
	name := filepath.Base(e.File)
	if !strings.HasPrefix(string(data), "From ") && !strings.HasPrefix(string(data), "From: ") && !reMail.Match(data) {
		return []Patch{{From: name, diff: data}}, nil
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(data), "From ") { // one mail without an mbox's line before it
		data = append([]byte("From faultline Thu Jan  1 00:00:00 1970\n"), data...)
	}
	if _, err := r.Feed(ctx, data, nil, "mailsplit", "-o"+work, "-d4"); err != nil {
		return nil, fault.Requestf("%s is no mailbox of patches: %w; give a file of git format-patch or b4", e.File, err)
	}
	mails, err := filepath.Glob(filepath.Join(work, "[0-9]*"))
	if err != nil {
		return nil, err
	}
	var out []Patch
	for _, m := range mails {
		mail, err := os.ReadFile(m)
		if err != nil {
			return nil, err
		}
		info, err := r.Feed(ctx, mail, nil, "mailinfo", "--encoding=UTF-8", m+".message", m+".diff")
		if err != nil {
			return nil, fault.Requestf("%s: read a mail: %w; give a file of git format-patch or b4", e.File, err)
		}
		diff, err := os.ReadFile(m + ".diff")
		if err != nil {
			return nil, err
		}
		if len(strings.TrimSpace(string(diff))) == 0 {
			continue // a cover letter
		}
		p := Patch{From: name, diff: diff}
		for line := range strings.Lines(info) {
			if s, ok := strings.CutPrefix(line, "Subject: "); ok {
				p.Subject = strings.TrimSpace(s)
			}
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fault.Requestf("%s has no patch in it; give a file of git format-patch or b4", e.File)
	}
	return out, nil
}

var reMail = regexp.MustCompile(`(?m)\A(?:[A-Za-z-]+: .*\n)+`)

func (r *Repo) commit(ctx context.Context, e Edit) ([]Patch, error) {
	parents, err := r.Run(ctx, nil, "rev-list", "--parents", "--no-walk", e.Commit)
	if err != nil {
		return nil, err
	}
	named, err := r.Run(ctx, nil, "show", "--no-patch", "--abbrev=12", "--format=%h %s", e.Commit)
	if err != nil {
		return nil, err
	}
	p := Patch{}
	p.From, p.Subject, _ = strings.Cut(named, " ")
	if n := len(strings.Fields(parents)); n != 2 {
		return nil, &ApplyError{Patch: p.String(), Reason: fmt.Sprintf("it has %d parents, not one", n-1)}
	}
	from, to := e.Commit+"^", e.Commit
	if e.Revert {
		from, to = to, from
		p.From = "the revert of " + p.From
	}
	diff, err := r.Run(ctx, nil, "diff-tree", "-p", "--full-index", "--binary", from, to)
	p.diff = []byte(diff + "\n")
	return []Patch{p}, err
}
