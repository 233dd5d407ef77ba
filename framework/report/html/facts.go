package html

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/sanitize"
)

func tallies(run results.Run) []tally {
	s, taken := run.Summary, 0
	for _, o := range matrix.TakenOvers(run) {
		taken += o.Cells
	}
	all := []struct {
		n            int
		class, words string
		always       bool
	}{
		{s.Expected, "good", "as expected", true},
		{s.Unexpected, "bad", "unexpected", true},
		{s.Explained, "explained", "differing fields explained", true},
		{s.Unexplained, "bad", "differing fields unexplained", true},
		{s.Skipped, "quiet", "skipped", false},
		{s.Infra, "infra", plural(s.Infra, "infrastructure failure"), false},
		{s.Uncompared, "infra", "not compared", false},
		{taken, "quiet", "observed by earlier runs", false},
	}
	var out []tally
	for _, t := range all {
		if t.n == 0 && !t.always {
			continue
		}
		if t.n == 0 {
			t.class = "quiet"
		}
		out = append(out, tally{t.class, fmt.Sprint(t.n), t.words})
	}
	return out
}

// plural returns the noun for a count.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func runFacts(run results.Run) []fact {
	out := []fact{
		{Name: "run", Value: run.ID, Code: true},
		{Name: "started", Value: run.Started.UTC().Format("2006-01-02 15:04:05 MST")},
	}
	if !run.Finished.IsZero() {
		out = append(out, fact{Name: "took", Value: run.Finished.Sub(run.Started).Round(100 * time.Millisecond).String()})
	}
	out = append(out,
		fact{Name: "faultline", Value: strings.TrimSpace(run.Tool.Version + " " + short(run.Tool.Commit))},
		fact{Name: "accelerator", Value: run.Accel},
		fact{Name: "host", Value: fmt.Sprintf("%s, %s, %s, %s, QEMU %s",
			run.Host.OS, run.Host.CPU, english.Plural(run.Host.Cores, "core", ""), gib(run.Host.MemoryBytes), run.Host.QEMU)},
		fact{Name: "exit code", Value: fmt.Sprint(run.Summary.ExitCode)})
	if len(run.Merged) > 0 {
		out = append(out, fact{Name: "merged from", Value: strings.Join(run.Merged, ", "), Code: true})
	}
	return out
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// short shortens a digest or a commit to 12 digits.
func short(digest string) string {
	algorithm, hash, ok := strings.Cut(digest, ":")
	if !ok {
		algorithm, hash = "", digest
	} else {
		algorithm += ":"
	}
	if len(hash) > 12 {
		hash = hash[:12]
	}
	return algorithm + hash
}

// newKernel returns a kernel with at most that many bytes of the end of its console.
func newKernel(k results.Kernel, folder *results.Folder, most int64) kernel {
	out := kernel{Name: k.Name}
	add := func(name, value string, code bool) {
		if value != "" {
			out.Facts = append(out.Facts, fact{name, value, code})
		}
	}
	add("release", k.Release, true)
	add("version", k.Version, true)
	add("spec", k.Spec, true)
	for _, p := range k.Packages {
		add("package", p.Name+" "+p.Version, true)
	}
	add("not available", k.Unavailable, false)
	add("digest", short(k.Digest), true)
	add("runs on", strings.TrimSpace(k.Arch+" "+k.Accel), false)
	add("not with KVM", k.AccelWhy, false)
	if k.BootMillis > 0 {
		add("boot", fmt.Sprintf("%.2f s", k.BootMillis/1000), false)
	}
	add("splats at boot", strings.Join(k.Splats, "; "), false)
	if k.Taint != "none" {
		add("taint at boot", k.Taint, false)
	}
	for _, s := range k.Changes {
		out.Changes = append(out.Changes, newKernelChange(s))
	}
	if filepath.IsLocal(k.Console) { // else it is not in the run's folder
		out.Console = filepath.ToSlash(k.Console)
		if folder != nil {
			out.Tail = tail(folder, k.Console, min(most, tailMost))
		}
	}
	return out
}

func newKernelChange(s conclusion.ChangeState) kernelChange {
	c := kernelChange{ID: s.ID, Verdict: string(s.Verdict), Words: s.String()}
	if s.Verdict == conclusion.Incomplete || s.Verdict == conclusion.SomethingElse {
		c.Look = slices.Concat(s.Before, s.Part, s.Neither)
	}
	return c
}

// The page has the end of each kernel's console: at most tailMost bytes of each, and
// tailBytes of all.
const tailMost, tailBytes = 32 << 10, 192 << 10

// tail returns the end of a file of the run, from the start of a line; empty if the file
// cannot be read, because the page still has its path.
func tail(folder *results.Folder, path string, most int64) string {
	f, err := folder.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	at, err := f.Stat()
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, at.Size()-most), most))
	if err != nil {
		return ""
	}
	text := string(b)
	if at.Size() > most {
		_, text, _ = strings.Cut(text, "\n")
	}
	return sanitize.Text(text)
}

// changes returns the changes that the run refers to.
func changes(run results.Run) []knownChange {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, k := range run.Kernels {
		for _, s := range k.Changes {
			add(s.ID)
		}
	}
	for _, d := range run.Differences {
		add(d.ExplainedBy)
	}
	var out []knownChange
	for _, id := range ids {
		c := lookup(run, id)
		k := knownChange{c.ID, c.Commit, c.Since, c.Subject, c.Effect, ""}
		if commit.MatchString(c.Commit) && c.Since != "" {
			k.Upstream = "https://git.kernel.org/linus/" + c.Commit
		}
		out = append(out, k)
	}
	return out
}

// commit matches a hash by which git.kernel.org finds a commit.
var commit = regexp.MustCompile(`^[0-9a-f]{12,40}$`)

// lookup finds a change; an unknown one, recorded by another version of Faultline, has
// only its id.
func lookup(run results.Run, id string) change.Change {
	c, err := run.Known().ByID(id)
	if err != nil {
		return change.Change{ID: id}
	}
	return c
}
