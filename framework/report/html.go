package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"mvdan.cc/sh/v3/syntax"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/results"
)

var (
	//go:embed report.html.tmpl
	pageTemplate string
	//go:embed report.css
	pageStyle string
	//go:embed report.js
	pageScript string
)

// HTML writes the run as one self-contained page: no network, no other file is
// needed to read it. folder, which may be nil, is where the consoles are read
// from that the page shows the ends of.
func HTML(w io.Writer, run results.Run, folder *results.Folder) error {
	t, err := template.New("report").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("read the report's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, newPage(run, folder)); err != nil {
		return fmt.Errorf("draw the report: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, b.Bytes())); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// visible shows as a dot what html/template lets through but a page may not
// have, or what lets text pass for other text: control characters, and those
// that turn the direction of writing.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return '·'
	}
	return r
}

// page is what the template is given: every text is made here.
type page struct {
	Policy   string // content security policy: our own style and script, nothing else
	Style    template.CSS
	Script   template.JS
	Title    string
	Headline Headline
	Counts   []tally
	Findings []finding
	Kernels  []kernel
	Changes  []change.Change
	Groups   []group
	Columns  int
	Facts    []fact
	Command  string
}

type tally struct{ Class, Count, Words string }

type finding struct{ Kind, Scenario, Message string }

type fact struct {
	Name, Value string
	Code        bool // show it as something to be typed or compared
}

type kernel struct {
	Name     string
	Facts    []fact
	Changes  []kernelChange
	Console  string // path of the whole
	Tail     string // its end
	Position int
}

type kernelChange struct {
	ID, Verdict, Words string
	Look               []string // scenarios to look at
}

type group struct {
	Name string
	Rows []pageRow
}

type pageRow struct {
	N             int
	ID, Doc       string
	Search        string // what the filter looks in
	Class         string
	Mark          string
	Notable       bool
	Cells         []pageCell
	Changes       []badge
	Unexplained   bool
	Lost          bool
	Pairs         []pair
	Needs         string
	NotRepeatable bool
}

type badge struct{ ID, Title, Subject string }

// pair is what differs between two kernels, or two attempts on one.
type pair struct {
	A, B        string
	Differences []difference
}

type difference struct {
	Where, Field, A, B, ExplainedBy string
}

type pageCell struct {
	Kernel             string
	N                  int
	Missing            bool
	Text, Class, State string
	Facts              string
	Message            string
	Steps              []pageStep
	Witnesses          []fact
	Log, Tail, Repeat  string
}

type pageStep struct {
	N                      int
	Actor, Action, Outcome string
	Differs                bool
	Expected               *expectation
	Details                []fact
	Signals                []pageSignal
}

type expectation struct {
	Met                bool
	Wanted, Why, Other string
}

type pageSignal struct {
	Title, Thread string
	Open          bool // show the bytes at once
	Fields        []part
	Dump          []dumpLine
	Raw           string // instead of both, where it can't be decoded
}

func newPage(run results.Run, folder *results.Folder) page {
	p := page{
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digest(pageStyle), digest(pageScript)),
		Style:  template.CSS(pageStyle), Script: template.JS(pageScript),
		Headline: NewHeadline(run),
		Counts:   tallies(run),
		Columns:  len(run.Kernels) + 2,
		Command:  quoted(run.Command),
		Facts:    runFacts(run),
	}
	p.Title = "Faultline " + run.ID
	for _, f := range run.Findings {
		p.Findings = append(p.Findings, finding{findingWords(f.Kind), f.Scenario, f.Message})
	}
	for i, k := range run.Kernels {
		p.Kernels = append(p.Kernels, newKernel(i, k, folder))
	}
	p.Changes = changes(run)
	n := 0
	for _, r := range matrix(run) {
		name := r.scenario.Suite
		if name == "" {
			name, _, _ = strings.Cut(r.scenario.ID, "/")
		}
		i := slices.IndexFunc(p.Groups, func(g group) bool { return g.Name == name })
		if i < 0 {
			i, p.Groups = len(p.Groups), append(p.Groups, group{Name: name})
		}
		p.Groups[i].Rows = append(p.Groups[i].Rows, newRow(n, r, run))
		n++
	}
	return p
}

// digest is how a content security policy names an inline style or script.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func tallies(run results.Run) []tally {
	s := run.Summary
	all := []struct {
		n            int
		class, words string
		always       bool
	}{
		{s.Expected, "good", "as expected", true},
		{s.Unexpected, "bad", "unexpected", true},
		{s.Explained, "explained", "differing fields explained", true},
		{s.Unexplained, "bad", "differing fields unexplained", true},
		{s.NotDoable, "quiet", "not doable", false},
		{s.Rig, "rig", "not judged", false},
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

func runFacts(run results.Run) []fact {
	out := []fact{{Name: "run", Value: run.ID, Code: true}, {Name: "started", Value: run.Started.UTC().Format("2006-01-02 15:04:05 MST")}}
	if !run.Finished.IsZero() {
		out = append(out, fact{Name: "took", Value: run.Finished.Sub(run.Started).Round(100 * time.Millisecond).String()})
	}
	out = append(out,
		fact{Name: "faultline", Value: strings.TrimSpace(run.Tool.Version + " " + short(run.Tool.Commit))},
		fact{Name: "accelerator", Value: run.Accel},
		fact{Name: "host", Value: fmt.Sprintf("%s, %s, %s, %s, QEMU %s", run.Host.OS, run.Host.CPU, count(run.Host.Cores, "core"), gib(run.Host.MemoryBytes), run.Host.QEMU)},
		fact{Name: "exit code", Value: fmt.Sprint(run.Summary.ExitCode)})
	if len(run.Merged) > 0 {
		out = append(out, fact{Name: "merged from", Value: strings.Join(run.Merged, ", "), Code: true})
	}
	return out
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

// short cuts a digest or a commit to what tells it apart.
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

func newKernel(i int, k results.Kernel, folder *results.Folder) kernel {
	out := kernel{Name: k.Name, Position: i}
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
	add("digest", short(k.Digest), true)
	add("runs on", strings.TrimSpace(k.Arch+" "+k.Accel), false)
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
	if k.Console != "" {
		out.Console = filepath.ToSlash(k.Console)
		if folder != nil {
			out.Tail = tail(folder.Path(k.Console))
		}
	}
	return out
}

func newKernelChange(s judge.ChangeState) kernelChange {
	c := kernelChange{ID: s.ID, Verdict: string(s.Verdict), Words: s.String()}
	if s.Verdict == judge.Incomplete || s.Verdict == judge.SomethingElse {
		c.Look = slices.Concat(s.Before, s.Part, s.Neither)
	}
	return c
}

// tailBytes bounds how much of a console goes into the page.
const tailBytes = 32 << 10

// tail is the end of a file, from the start of a line; empty if it can't be
// read, because the page still has the path.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	at, err := f.Stat()
	if err != nil || !at.Mode().IsRegular() {
		return ""
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, at.Size()-tailBytes), tailBytes))
	if err != nil {
		return ""
	}
	text := string(b)
	if at.Size() > tailBytes {
		_, text, _ = strings.Cut(text, "\n")
	}
	return clean(text)
}

// escapes are what a guest's console has for a terminal: colours and cursor
// movements (ECMA-48), and carriage returns.
var escapes = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78cDEHM]|\r`)

func clean(text string) string { return escapes.ReplaceAllString(text, "") }

// changes are those that the run has anything to do with.
func changes(run results.Run) []change.Change {
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
	var out []change.Change
	for _, id := range ids {
		out = append(out, lookup(id))
	}
	return out
}

// lookup finds a change; one recorded by another version of Faultline has a name only.
func lookup(id string) change.Change {
	c, err := change.ByID(id)
	if err != nil {
		return change.Change{ID: id}
	}
	return c
}

func newRow(n int, r row, run results.Run) pageRow {
	out := pageRow{
		N: n, ID: r.scenario.ID, Doc: r.scenario.Doc, Notable: r.notable(),
		Needs: strings.Join(r.scenario.Needs, ", "), NotRepeatable: len(r.repeats) > 0,
	}
	ids, un := r.why()
	out.Unexplained, out.Lost = un, r.lost()
	switch {
	case un || r.lost():
		out.Class, out.Mark = "differs unexplained", "≠"
	case len(r.diffs) > 0:
		out.Class, out.Mark = "differs", "≠"
	case out.Notable:
		out.Class, out.Mark = "trouble", "!"
	}
	search := []string{r.scenario.ID, r.scenario.Doc}
	for _, id := range ids {
		c := lookup(id)
		b := badge{ID: c.ID, Subject: c.Subject, Title: c.ID}
		if c.Commit != "" {
			b.Title = fmt.Sprintf("%s (%s): %s", c.Commit, c.Since, c.Subject)
		}
		out.Changes = append(out.Changes, b)
		search = append(search, c.ID, c.Commit)
	}
	out.Pairs = pairs(append(slices.Clone(r.diffs), r.repeats...))
	var reference *observe.Cell
	texts := r.texts()
	for i, c := range r.cells {
		cell := pageCell{Kernel: run.Kernels[i].Name, N: i, Missing: true, Text: "–", Class: "missing", State: "not observed"}
		if c != nil {
			cell = newCell(i, c, reference, r, run)
			cell.Text = texts[i]
			search = append(search, cell.Text, cell.State)
			if (reference == nil || reference.Accel != c.Accel) && judge.Comparable(*c) {
				reference = c
			}
		}
		out.Cells = append(out.Cells, cell)
	}
	out.Search = strings.ToLower(strings.Join(search, " "))
	return out
}

func pairs(diffs []judge.Difference) []pair {
	var out []pair
	for _, d := range diffs {
		a, b := d.KernelA, d.KernelB
		if a == b {
			a, b = fmt.Sprintf("%s, attempt %d", a, max(1, d.AttemptA)), fmt.Sprintf("%s, attempt %d", b, max(1, d.AttemptB))
		}
		where := "witness"
		if d.Step != judge.WholeCell {
			where = fmt.Sprintf("step %d, %s: %s", d.Step+1, d.Actor, d.Action)
		}
		if last := len(out) - 1; last < 0 || out[last].A != a || out[last].B != b {
			out = append(out, pair{A: a, B: b})
		}
		p := &out[len(out)-1]
		p.Differences = append(p.Differences, difference{where, strings.TrimPrefix(d.Field, judge.WitnessPrefix), clean(d.A), clean(d.B), d.ExplainedBy})
	}
	return out
}

func newCell(i int, c, reference *observe.Cell, r row, run results.Run) pageCell {
	out := pageCell{
		Kernel: c.Kernel, N: i, Class: string(c.Verdict), State: verdictWords(c.Verdict),
		Message: c.Message, Log: clean(strings.Join(c.KernelLog, "\n")), Tail: clean(c.ConsoleTail),
	}
	out.Facts = fmt.Sprintf("%s, %.0f ms", c.Accel, c.Millis)
	if n := r.attempts[i]; n > 1 {
		out.Facts += fmt.Sprintf(", attempt %d of %d", c.Attempt, n)
	}
	for j, s := range c.Steps {
		var other *observe.Step
		if reference != nil && j < len(reference.Steps) {
			other = &reference.Steps[j]
		}
		differs := slices.ContainsFunc(r.diffs, func(d judge.Difference) bool {
			return d.Step == j && (d.KernelA == c.Kernel || d.KernelB == c.Kernel)
		})
		out.Steps = append(out.Steps, newStep(j, s, other, differs))
	}
	var names []string
	for n := range c.Witnesses {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		out.Witnesses = append(out.Witnesses, fact{Name: n, Value: clean(c.Witnesses[n])})
	}
	out.Repeat = Repeat(run, *c)
	return out
}

// Repeat is the command that observes a cell again, quoted for a shell.
func Repeat(run results.Run, c observe.Cell) string {
	spec := c.Kernel
	if k, ok := run.Kernel(c.Kernel); ok && k.Spec != "" {
		spec = k.Spec
	}
	program := "faultline"
	if len(run.Command) > 0 {
		program = run.Command[0] // as it was called, bin/faultline perhaps
	}
	args := []string{program, "run", "--kernel", spec, "--scenario", c.Scenario}
	if run.Accel != "" && run.Accel != "auto" {
		args = append(args, "--accel", run.Accel)
	}
	return quoted(args)
}

func quoted(args []string) string {
	var out []string
	for _, a := range args {
		q, err := syntax.Quote(a, syntax.LangBash)
		if err != nil { // a NUL byte, which no argument can hold
			q = fmt.Sprintf("%q", a)
		}
		out = append(out, q)
	}
	return strings.Join(out, " ")
}

func newStep(i int, s observe.Step, other *observe.Step, differs bool) pageStep {
	out := pageStep{N: i + 1, Actor: s.Actor, Action: s.Action, Outcome: s.Outcome.String(), Differs: differs}
	if e := s.Expected; e != nil {
		x := expectation{Met: e.Met, Wanted: e.Wanted()}
		switch {
		case e.Change == "":
			x.Why = "on every kernel"
		case e.Hidden != "":
			x.Why = "because without CONFIG_" + e.Hidden + " nobody sees " + e.Change
		case e.Side == observe.Before:
			x.Wanted, x.Why, x.Other = e.Before, "without "+e.Change, "with it: "+e.After
		case e.Side == observe.After:
			x.Wanted, x.Why, x.Other = e.After, "with "+e.Change, "without it: "+e.Before
		}
		if e.Side == observe.Partly {
			x.Other = "this is a part of " + e.PartOf
		}
		out.Expected = &x
	}
	o := s.Outcome
	add := func(name, value string) {
		if value != "" {
			out.Details = append(out.Details, fact{Name: name, Value: value})
		}
	}
	if o.Ret != nil {
		add("returned", fmt.Sprint(*o.Ret))
	}
	add("errno", o.Errno)
	add("data", o.Data)
	add("digest", o.Digest)
	add("note", o.Note)
	for j, sig := range o.Signals {
		var theirs []byte
		if other != nil && j < len(other.Outcome.Signals) {
			theirs, _ = hex.DecodeString(other.Outcome.Signals[j].Raw) // nil: nothing to compare with
		}
		out.Signals = append(out.Signals, newSignal(sig, theirs, differs))
	}
	return out
}

func newSignal(s observe.Signal, theirs []byte, open bool) pageSignal {
	out := pageSignal{Title: s.String(), Thread: s.Thread, Open: open}
	in, fields := parts(s)
	if fields == nil {
		out.Raw = s.Raw
		return out
	}
	out.Fields = fields
	out.Dump = hexdump(in.Raw[:], theirs, fields)
	return out
}

// Write puts the page into a run's folder, as report.html.
func Write(run results.Run, folder *results.Folder) (path string, err error) {
	var b strings.Builder
	if err := HTML(&b, run, folder); err != nil {
		return "", err
	}
	if err := folder.Put(results.ReportFile, []byte(b.String())); err != nil {
		return "", err
	}
	return folder.Path(results.ReportFile), nil
}
