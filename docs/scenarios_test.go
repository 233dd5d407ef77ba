package docs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
)

var (
	update = flag.Bool("update", false,
		"update the table of docs/reference/scenarios.md and the names in docs/reference/catalogue.md")
	recount = flag.String("results", "",
		"with -update: use the observations of the run in this `folder`, relative to the repository")
)

const (
	observedFile  = "testdata/observed.json"
	scenariosFile = "reference/scenarios.md"
	tableBegins   = "<!-- made by: go test ./docs -update -->\n"
	tableEnds     = "<!-- end of what is made -->\n"
)

// observed has the results of each scenario, as a table shows them.
type observed struct {
	Kernels []string                     `json:"kernels"` // names, as a table's columns have them
	Tool    string                       `json:"tool"`
	QEMU    string                       `json:"qemu"`
	Accel   string                       `json:"accel"`
	Seen    map[string]map[string]string `json:"seen"` // by scenario and kernel
}

func readObserved(t *testing.T) (o observed) {
	t.Helper()
	data, err := os.ReadFile(observedFile)
	if os.IsNotExist(err) {
		return o
	}
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// takeOver adds the cells of a run. If its kernels differ, the previous cells are removed.
func (o *observed) takeOver(r results.Run) error {
	var names []string
	for _, k := range r.Kernels {
		names = append(names, k.Name)
	}
	if !slices.Equal(names, o.Kernels) {
		*o = observed{Kernels: names}
	}
	if o.Seen == nil {
		o.Seen = map[string]map[string]string{}
	}
	o.Tool, o.QEMU, o.Accel = r.Tool.Version, r.Host.QEMU, r.Accel
	byScenario := map[string][]observe.Cell{}
	for _, c := range r.Cells {
		byScenario[c.Scenario] = append(byScenario[c.Scenario], c)
	}
	text := map[string]map[string]string{} // by scenario and kernel, with addresses where only these differ
	for id, cells := range byScenario {
		text[id] = map[string]string{}
		for i, t := range observe.Headlines(cells) {
			text[id][cells[i].Kernel] = t
		}
	}
	for _, c := range r.Cells {
		if c.Verdict == observe.Unexpected || c.Verdict == observe.Infra {
			return fmt.Errorf("%s on %s is %s: %s; use a run without such cells", c.Scenario, c.Kernel, c.Verdict, c.Message)
		}
		if o.Seen[c.Scenario] == nil {
			o.Seen[c.Scenario] = map[string]string{}
		}
		seen := text[c.Scenario][c.Kernel]
		if c.Verdict == observe.Skipped {
			seen += ": " + c.Message
		}
		o.Seen[c.Scenario][c.Kernel] = seen
	}
	return nil
}

// version returns a kernel's name without its origin.
func version(kernel string) string {
	v, _, _ := strings.Cut(kernel, " ")
	return v
}

// words describes the results of a scenario, once if all kernels agree.
func (o observed) words(s scenario.Info) string {
	if s.Skipped != "" {
		return "skipped: " + s.Skipped
	}
	type group struct {
		kernels []string
		text    string
	}
	var groups []group
	for _, k := range o.Kernels {
		text, seen := o.Seen[s.ID][k]
		if !seen {
			text = "not observed yet"
		}
		if i := slices.IndexFunc(groups, func(g group) bool { return g.text == text }); i >= 0 {
			groups[i].kernels = append(groups[i].kernels, version(k))
			continue
		}
		groups = append(groups, group{[]string{version(k)}, text})
	}
	if len(groups) == 1 {
		return groups[0].text
	}
	var lines []string
	for _, g := range groups {
		lines = append(lines, strings.Join(g.kernels, ", ")+": "+g.text)
	}
	return strings.Join(lines, "<br>")
}

// table returns the part of docs/reference/scenarios.md between the marks: by suite, the
// scenarios that differ between kernels first.
func table(list []scenario.Info, o observed) string {
	var b strings.Builder
	cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	fmt.Fprintf(&b, "Kernels: %s.\nSeen with Faultline %s on QEMU %s, accelerator %s.\n", strings.Join(o.Kernels, ", "), o.Tool, o.QEMU, o.Accel)
	const newLine = "<br>"
	rows := map[string]map[bool][]string{} // by suite, and whether kernels differ
	var suites []string
	for _, s := range list {
		if rows[s.Suite] == nil {
			suites = append(suites, s.Suite)
			rows[s.Suite] = map[bool][]string{}
		}
		seen := cell(o.words(s))
		differs := strings.Contains(seen, newLine)
		for _, c := range s.Changes {
			if differs {
				seen += newLine + "(" + c + ")"
			}
		}
		rows[s.Suite][differs] = append(rows[s.Suite][differs], fmt.Sprintf("| %s | %s | %s | %s |\n", s.ID, strings.Join(s.Catalogue, ", "), cell(s.Doc), seen))
	}
	for _, suite := range suites {
		fmt.Fprintf(&b, "\n### suites/%s\n", suite)
		for _, part := range []struct {
			differs bool
			heading string
		}{{true, "Differs between kernels"}, {false, "Same on every kernel"}} {
			if list := rows[suite][part.differs]; len(list) > 0 {
				fmt.Fprintf(&b, "\n#### %s: %d\n\n| scenario | number | what it shows | seen |\n|---|---|---|---|\n%s", part.heading, len(list), strings.Join(list, ""))
			}
		}
	}
	b.WriteString("\n### Known changes\n\n| change | commit | first release | what user space observes |\n|---|---|---|---|\n")
	for _, c := range change.All() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Commit, c.Since, cell(c.Effect))
	}
	return b.String()
}

// TestScenarios compares docs/reference/scenarios.md with the suites and a
// recorded run.
func TestScenarios(t *testing.T) {
	list, o := listed(t), readObserved(t)
	if *update && *recount != "" {
		dir := *recount
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
		folder, err := results.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		r, err := folder.LoadRun(judge.Run)
		if err == nil {
			err = o.takeOver(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	known := map[string]bool{}
	for _, s := range list {
		known[s.ID] = true
	}
	for id := range o.Seen {
		if !known[id] {
			delete(o.Seen, id)
		}
	}
	data, err := os.ReadFile(scenariosFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), tableBegins)
	was, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s does not have its marks %q and %q", scenariosFile, tableBegins, tableEnds)
	}
	want := "\n" + table(list, o) + "\n"
	if *update {
		record, err := json.MarshalIndent(o, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(observedFile, append(record, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(scenariosFile, []byte(before+tableBegins+want+tableEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was != want {
		t.Errorf("docs/%s differs from the suites and testdata/observed.json: %s\n"+
			"after a new scenario: bin/faultline run --matrix wide --scenario ID, then go test ./docs -update -results=results/latest",
			scenariosFile, firstDifference(was, want))
	}
}

// TestTelling checks that the patterns of a change match exactly the scenarios that
// follow it.
func TestTelling(t *testing.T) {
	list := slices.DeleteFunc(listed(t), func(s scenario.Info) bool { return s.Skipped != "" })
	for _, c := range change.All() {
		for _, s := range list {
			switch follows := slices.Contains(s.Changes, c.ID); {
			case follows && !c.Covers(s.ID):
				t.Errorf("%s follows %s, and none of its patterns (Scenarios) matches", s.ID, c.ID)
			case !follows && c.Covers(s.ID):
				t.Errorf("a pattern of %s (Scenarios) matches %s, which does not follow it", c.ID, s.ID)
			}
		}
		globs := slices.Clone(c.Scenarios)
		for _, m := range c.Witnesses {
			if m.Scenarios != "" {
				globs = append(globs, m.Scenarios)
			}
		}
		for _, g := range globs {
			if !slices.ContainsFunc(list, func(s scenario.Info) bool { return change.Matches(g, s.ID) }) {
				t.Errorf("%s has the pattern %s, which matches no scenario", c.ID, g)
			}
		}
	}
	for _, s := range list {
		for _, id := range s.Changes {
			if _, err := change.All().ByID(id); err != nil {
				t.Errorf("%s: %v", s.ID, err)
			}
		}
	}
}

// firstDifference returns the first line that differs.
func firstDifference(was, want string) string {
	a, b := strings.Split(was, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Sprintf("\ngot  %s\nwant %s", x, y)
		}
	}
	return ""
}

// TestOutput compares tables of output in the documents with a recorded run.
func TestOutput(t *testing.T) {
	o, rows := readObserved(t), 0
	columns := regexp.MustCompile(` {2,}`)
	id := regexp.MustCompile(`^[a-z0-9-]+(/[a-z0-9-]+)+$`)
	each(t, []string{"text"}, func(t *testing.T, b block) {
		var kernels []string
		for line := range strings.Lines(b.text) {
			f := columns.Split(strings.TrimSpace(line), -1)
			switch {
			case f[0] == "scenario":
				kernels = f[1:]
			case kernels != nil && id.MatchString(f[0]) && len(f) > 1:
				rows++
				for i, k := range kernels {
					if i+1 >= len(f) || f[i+1] != o.Seen[f[0]][k] {
						t.Errorf("%s: %s on %s: got the line %q, want %q as recorded", b, f[0], k, line, o.Seen[f[0]][k])
					}
				}
			}
		}
	})
	if rows == 0 {
		t.Error("no document has a table of a run")
	}
}
