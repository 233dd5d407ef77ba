package backport

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/analysis/backport"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/report/matrix"
	"github.com/faultline/faultline/internal/git"
	"github.com/faultline/faultline/internal/shell"
)

// about describes what was applied to what, for the mail.
type about struct {
	base string // Options.Base
	// Of kernels that were built from a tree:
	tree             string
	commit, describe string // of the base
	patches          []git.Patch
	notes            []string // which parts of the patches' files were not applied
	picked           []string // the hashes of Options.Commits
	config, compiler string   // config is a file, or ""
	// Of kernels that were built before:
	patched string // Options.Patched
	configs []configFact
}

// mail returns the verdict as text for a mailing list: the verdict, the setup, the cells
// grouped by what they show, the counts. It names no tester.
func mail(r *results.Run, v backport.Verdict, a *about) string {
	m := &mailText{run: r, v: v, about: a}
	m.fill("", "", m.title())
	m.line("")
	m.fill("", "", m.sentence())
	m.scope()
	m.line("")
	m.facts()
	m.boot()
	m.cells(fmt.Sprintf("Missing (%s), base -> patched:", english.Plural(len(v.Missing), "cell", "")), v.Missing)
	m.moved(fmt.Sprintf("Also changed (%s):", english.Plural(len(v.Moved), "cell", "")), v.Moved, [2]string{Base, Patched})
	m.cells(fmt.Sprintf("Flipped (%s), base -> patched:", english.Plural(len(v.Flipped), "cell", "")), v.Flipped)
	m.against()
	m.explored()
	m.unjudged("Not judged:", v.Unjudged)
	m.counts()
	m.tested()
	return m.b.String()
}

// columns is the maximum length of a line.
const columns = 75

type mailText struct {
	run   *results.Run
	v     backport.Verdict
	about *about
	b     strings.Builder
}

func (m *mailText) line(text string) { m.b.WriteString(text + "\n") }

// fill writes a text in lines of at most columns characters. The first line begins with
// first, the others with rest. A longer word is not split.
func (m *mailText) fill(first, rest, text string) {
	at := first
	for i, w := range strings.Fields(matrix.Printable(text)) {
		switch {
		case i == 0:
			at += w
		case len([]rune(at))+1+len([]rune(w)) <= columns:
			at += " " + w
		default:
			m.line(at)
			at = rest + w
		}
	}
	m.line(strings.TrimRight(at, " "))
}

// change returns the commit, subject and release of the change in question.
func (m *mailText) change() string {
	c, err := m.run.Known().ByID(m.v.Change)
	if err != nil {
		return m.v.Change
	}
	text := `"` + c.Subject + `"`
	if c.Commit != "" {
		text = c.Commit + " (" + text + ")"
	}
	if c.Since != "" {
		text += ", in " + c.Since + " and later"
	}
	return text
}

func (m *mailText) title() string {
	what, base := "1 patch", m.about.base
	switch n := len(slices.DeleteFunc(slices.Clone(m.about.patches), func(p git.Patch) bool { return p.Present })); {
	case m.v.Change != "":
		what = "Backport of " + m.v.Change
	case m.about.patched != "":
		what = "Patches in " + m.release(Patched, m.about.patched)
	case n != 1:
		what = fmt.Sprintf("%d patches", n)
	}
	var kinds []string
	for _, k := range m.v.Kinds {
		word := string(k)
		switch {
		case k == backport.Collateral && m.v.Change == "": // no change is in question
			word = "something changed"
		case k == backport.Unmoved:
			word = "nothing changed"
		}
		kinds = append(kinds, word)
	}
	if m.about.patched != "" {
		base = m.release(Base, base)
	}
	return fmt.Sprintf("%s on %s: %s", what, base, strings.ToUpper(strings.Join(kinds, " and ")))
}

// release returns a kernel's release, or its spec if it is not known.
func (m *mailText) release(kernel, spec string) string {
	k, _ := m.run.Kernel(kernel)
	return cmp.Or(k.Release, spec)
}

// sentence returns the verdict as sentences.
func (m *mailText) sentence() string {
	v := m.v
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	total := len(v.Flipped) + len(v.Missing) + v.Already
	switch {
	case v.Is(backport.BaseDoesNotBoot):
		say("The base does not boot, so the patches cannot be judged.")
	case v.Is(backport.DoesNotBoot):
		say("The base boots; with the patches it does not.")
	case v.Is(backport.AlreadyThere):
		say("The base already has %s: %s it without the patches, and nothing changed.", v.Change, m.show(v.Already))
	case v.Is(backport.Unmoved):
		say("The patches change nothing that user space observes in %s.", english.Plural(v.Compared, "scenario", ""))
	case v.Change == "" && v.Is(backport.Complete):
		say(
			"Each difference belongs to a known change that the patches add completely: %s.",
			english.WordSeries(v.Appeared, "and"),
		)
	case v.Change == "" && v.Is(backport.Collateral):
		say("In %s something changed that belongs to no known change that the patches add completely.",
			english.Plural(len(v.Moved), "cell", ""))
		if len(v.Appeared) > 0 {
			say("The patches add %s completely.", english.WordSeries(v.Appeared, "and"))
		}
	case v.Change != "" && total == 0:
		say("No observed cell depends on %s.", v.Change)
	case v.Change != "":
		switch n := len(v.Flipped); {
		case n == total && n == 1:
			say("The one cell that depends on %s flipped from before to after.", v.Change)
		case n == total:
			say("All %d cells that depend on %s flipped from before to after.", n, v.Change)
		case len(v.Missing) == 0:
			say("Of the cells that depend on %s, %d of %d flipped from before to after.", v.Change, n, total)
		default:
			say("Of the cells that depend on %s, %d of %d flipped from before to after; %s.", v.Change, n, total, m.missing())
		}
		if v.Already > 0 {
			say("On the base, %s it already.", m.show(v.Already))
		}
	}
	if v.Change != "" && v.Compared > 0 {
		switch n := len(v.Moved); {
		case n > 0:
			say("In %s something else changed.", english.Plural(n, "cell", ""))
		case v.Explored != nil && len(v.Explored.Moved) > 0:
			say("In generated programs something else changed.")
		case v.Is(backport.Complete):
			say("Nothing else changed.")
		}
	}
	if len(v.Vanished) > 0 {
		say("The patches remove %s.", english.WordSeries(v.Vanished, "and"))
	}
	if n := len(v.Unjudged); n > 0 {
		say("%s could not be judged.", english.Plural(n, "cell", ""))
	}
	if a := v.Against; a != nil && v.Change != "" && !a.Has {
		say("The reference %s, so it does not show the result of a complete backport.", a.State)
	}
	base, _ := m.run.Kernel(Base)
	if patched, _ := m.run.Kernel(Patched); base.Digest != "" && base.Digest == patched.Digest {
		why := "this configuration does not compile the code that the patches touch"
		if m.about.patched != "" {
			why = "both specs are of the same build"
		}
		say("The patched kernel is identical to the base, byte for byte: %s.", why)
	}
	return strings.Join(out, " ")
}

// scope states what a verdict in favour of the patches covers and what it does not.
func (m *mailText) scope() {
	if !m.v.Is(backport.Complete) && !m.v.Is(backport.Unmoved) {
		return
	}
	var topics []string
	for _, c := range m.run.Cells {
		topic, _, ok := strings.Cut(c.Scenario, "/")
		if ok && c.Kernel == Base && c.Comparable() && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	where := []string{"base", "patched"}
	if m.v.Against != nil {
		where = append(where, "reference")
	}
	programs := ""
	if e := m.v.Explored; e != nil {
		programs = fmt.Sprintf(" and %s", english.Plural(e.Programs, "generated program", ""))
	}
	m.line("")
	m.fill("", "", fmt.Sprintf(
		"The verdict covers %s (%s)%s on %s, observed in QEMU guests (%s). It does not cover other "+
			"behaviour, races, load, other configurations or architectures, or real hardware.",
		english.Plural(
			m.v.Compared,
			"scenario",
			"",
		),
		english.WordSeries(topics, "and"),
		programs,
		english.WordSeries(where, "and"),
		english.WordSeries(m.accels(), "and"),
	))
}

// show returns a count of cells, with its verb.
func (m *mailText) show(n int) string {
	if n == 1 {
		return "1 cell shows"
	}
	return fmt.Sprintf("%d cells show", n)
}

// missing returns the numbers of missing cells by reason.
func (m *mailText) missing() string {
	n := map[backport.Missing]int{}
	var order []backport.Missing
	for _, c := range m.v.Missing {
		if n[c.Why]++; n[c.Why] == 1 {
			order = append(order, c.Why)
		}
	}
	var parts []string
	for _, why := range order {
		how := map[backport.Missing]string{
			backport.NotThere:     "did not flip",
			backport.PartThere:    "flipped only in part",
			backport.ElseThere:    "flipped to something else",
			backport.Lost:         "flipped back",
			backport.NotReference: "flipped to another result than the reference",
		}[why]
		parts = append(parts, fmt.Sprintf("%d %s", n[why], how))
	}
	return strings.Join(parts, ", ")
}

// facts writes the setup.
func (m *mailText) facts() {
	a := m.about
	fact := func(name, text string) { m.fill(fmt.Sprintf("%-10s ", name), strings.Repeat(" ", 11), text) }
	if m.v.Change != "" {
		fact("change", m.change())
	}
	if a.patched == "" {
		m.sources(fact)
	} else {
		for _, k := range [][2]string{{Base, a.base}, {Patched, a.patched}} {
			fact(k[0], m.origin(k[0], k[1]))
		}
	}
	if k, ok := m.run.Kernel(Reference); ok {
		fact("reference", fmt.Sprintf("%s (%s)", k.Version, k.Spec))
	}
	if a.patched == "" {
		fact("config", cmp.Or(a.config, "tinyconfig")+", plus the options that Faultline's guests need")
		fact("compiler", a.compiler)
	}
	for _, c := range a.configs {
		fact(c.name, c.text)
	}
	fact(
		"guests",
		strings.Join(slices.Compact([]string{"QEMU " + m.run.Host.QEMU, strings.Join(m.accels(), " and ")}), ", "),
	)
	fact("tool", fmt.Sprintf("faultline %s, %s", m.run.Tool.Version, m.run.Started.UTC().Format("2006-01-02")))
	fact("command", shell.Quote(m.run.Command))
}

// sources writes what was built: the base and the patches.
func (m *mailText) sources(fact func(name, text string)) {
	a := m.about
	fact("tree", a.tree)
	base := fmt.Sprintf("%s, commit %.12s", a.base, a.commit)
	if a.describe != "" && a.describe != a.base {
		base += " (" + a.describe + ")"
	}
	if k, ok := m.run.Kernel(Base); ok {
		base += ", kernel " + k.Release
	}
	fact("base", base)
	for i, p := range a.patches {
		name := "patches"
		if i > 0 {
			name = ""
		}
		text := p.String()
		if p.Present {
			text += ": already present, changes nothing"
		}
		fact(name, text)
	}
	for i, n := range a.notes {
		name := "note"
		if i > 0 {
			name = ""
		}
		fact(name, n)
	}
}

// origin describes a built kernel.
func (m *mailText) origin(kernel, spec string) string {
	k, ok := m.run.Kernel(kernel)
	if !ok {
		return spec
	}
	from := k.Spec
	if len(k.Packages) > 0 { // the command has the names of their files
		from, _, _ = strings.Cut(k.Spec, ":")
		for i, p := range k.Packages {
			if i == 0 || p.Version != k.Packages[0].Version {
				from += " " + p.Name + " " + p.Version
			}
		}
	}
	return fmt.Sprintf("kernel %s (%s)", k.Release, from)
}

// accels returns the accelerators of the cells.
func (m *mailText) accels() (all []string) {
	for _, c := range m.run.Cells {
		if c.Accel != "" && c.Verdict != observe.Skipped && !slices.Contains(all, c.Accel) {
			all = append(all, c.Accel)
		}
	}
	slices.Sort(all)
	return all
}

// tested offers a tag for the patch, commented out, because only a person can give it.
func (m *mailText) tested() {
	if !m.v.Is(backport.Complete) {
		return
	}
	m.line("")
	m.line("# Anyone who has reviewed this result and vouches for it may add:")
	m.fill("# ", "# ", fmt.Sprintf("Tested-by: YOUR NAME <your@address> # faultline %s", m.run.Tool.Version))
}
