package declared

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/internal/errkind"
)

const whole = `changes:
  - id: my_change
    commit: 1ea7ca1b0901
    subject: "dax: say more"
    since: v6.5
    effect: a fault on known poison says so
    shows:
      - {scenarios: dax/*/shared-read, before: SIGBUS BUS_ADRERR, after: SIGBUS BUS_MCEERR_AR lsb=12}
      - scenarios: dax/ext4/mkwrite
        step: 3
        before: ok
        after: EIO
    moves:
      - {witness: log, before: "", after: "MCE: Killing * at N"}
      - {scenarios: mce/*/ucna, witness: HardwareCorrupted, before: 0 kB, after: 4 kB}
  - {id: other, subject: s, effect: e, shows: [{scenarios: a/b, before: x, after: y}], since: v6.5, stable: [6.4.3, 6.1.200]}
`

func TestParse(t *testing.T) {
	f, err := Parse("c.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := change.List{
		{ID: "my_change", Commit: "1ea7ca1b0901", Subject: "dax: say more", Since: "v6.5", Effect: "a fault on known poison says so",
			Steps: []change.StepEffect{
				{Scenarios: "dax/*/shared-read", Before: "SIGBUS BUS_ADRERR", After: "SIGBUS BUS_MCEERR_AR lsb=12"},
				{Scenarios: "dax/ext4/mkwrite", Step: 3, Before: "ok", After: "EIO"},
			},
			Witnesses: []change.WitnessEffect{{Witness: "log", After: "MCE: Killing * at N"}, {Scenarios: "mce/*/ucna", Witness: "HardwareCorrupted", Before: "0 kB", After: "4 kB"}}},
		{ID: "other", Subject: "s", Effect: "e", Since: "v6.5", Stable: []string{"6.4.3", "6.1.200"}, Steps: []change.StepEffect{{Scenarios: "a/b", Before: "x", After: "y"}}},
	}
	if d := cmp.Diff(want, f.Changes); d != "" {
		t.Errorf("changes mismatch (-want +got):\n%s", d)
	}
}

func TestErrors(t *testing.T) {
	// Replaces one entry of the file.
	but := func(old, text string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(whole, old, text, 1)
	}
	const first = "{scenarios: dax/*/shared-read, before: SIGBUS BUS_ADRERR, after: SIGBUS BUS_MCEERR_AR lsb=12}"
	const moved = `{witness: log, before: "", after: "MCE: Killing * at N"}`
	for name, c := range map[string]struct{ in, want string }{
		"empty":             {"", "c.yaml:1:1: the file of changes is empty; write \"changes:\""},
		"no YAML":           {"changes: [", "c.yaml:1:10: "},
		"a list":            {"- id: x\n", "c.yaml:1:1: the file of changes is a list, not a mapping"},
		"no changes":        {"{}\n", "key \"changes\" is missing"},
		"no list":           {"changes: x\n", "c.yaml:1:10: changes is text, not a list"},
		"unknown key":       {but("commit:", "comit:"), `c.yaml:3:5: unknown key "comit" in the change; did you mean "commit"?`},
		"key twice":         {but("since: v6.5", "id: again"), "c.yaml:5:5: "},
		"no id":             {but("- id: my_change\n    commit", "- commit"), `c.yaml:2:5: the change has no "id"; give a change id, subject`},
		"no subject":        {but("    subject: \"dax: say more\"\n", ""), `c.yaml:2:5: the change has no "subject"`},
		"no effect":         {but("    effect: a fault on known poison says so\n", ""), `the change has no "effect"`},
		"no shows":          {"changes: [{id: x, subject: s, effect: e}]", `c.yaml:1:11: the change has no "shows"`},
		"no entry":          {but("shows: [{scenarios: a/b, before: x, after: y}]", "shows: []"), "shows is an empty list"},
		"id's form":         {but("id: my_change", "id: My-Change"), `c.yaml:2:9: the id "My-Change" has other characters than lower case`},
		"known id":          {but("id: my_change", "id: dax_fault_hwpoison"), `c.yaml:2:9: Faultline already knows a change "dax_fault_hwpoison"; give yours another id`},
		"id twice":          {but("id: other", "id: my_change"), `c.yaml:16:10: duplicate change "my_change"`},
		"commit":            {but("1ea7ca1b0901", "master"), `c.yaml:3:13: the commit "master" is not 7 to 40`},
		"commit of digits":  {but("1ea7ca1b0901", "123456789012"), "c.yaml:3:13: commit is a number, not text; put quotes around it"},
		"since":             {but("v6.5", "next"), `c.yaml:5:12: since is "next", not a release`},
		"no update":         {but("6.1.200", "v6.1"), "c.yaml:16:117: stable has an entry that is not a stable update; write the first stable update"},
		"update's number":   {but("6.1.200", "6.1"), "c.yaml:16:117: stable has an entry that is not a stable update"},
		"update's list":     {but("[6.4.3, 6.1.200]", "6.4.3"), "stable is text, not a list"},
		"update of since":   {but("6.1.200", "6.5.3"), "stable has 6.5.3, but that series has the change since v6.5"},
		"two of a series":   {but("6.1.200", "6.4.9"), "stable has two updates of the series of 6.4.9"},
		"effect is empty":   {but("effect: a fault on known poison says so", `effect: ""`), "c.yaml:6:13: effect is empty; "},
		"no glob":           {but("dax/ext4/mkwrite", "'dax/[ext4'"), `c.yaml:9:20: "dax/[ext4" is not a pattern of scenario ids`},
		"step of words":     {but("step: 3", "step: last"), "c.yaml:10:15: step is not a number from 1 to 999"},
		"step 0":            {but("step: 3", "step: 0"), "step is not a number from 1 to 999"},
		"step below 0":      {but("step: 3", "step: -3"), "step is not a number from 1 to 999"},
		"show's key":        {but("step: 3", "stp: 3"), `c.yaml:10:9: unknown key "stp" in an entry of shows; did you mean "step"?`},
		"no scenarios":      {but(first, "{before: x, after: y}"), `the entry has no "scenarios"; write it as`},
		"no before":         {but(first, "{scenarios: a/b, after: y}"), `the entry has no "before"`},
		"no after":          {but(first, "{scenarios: a/b, before: y}"), `the entry has no "after"`},
		"texts equal":       {but(first, "{scenarios: a/b, before: y, after: y}"), "before and after are the same"},
		"before is empty":   {but(first, `{scenarios: a/b, before: "", after: y}`), "before is empty; "},
		"before is nothing": {but(first, `{scenarios: a/b, before: , after: y}`), "before is empty, not text"},
		"the same twice":    {but(first, "{scenarios: dax/ext4/mkwrite, step: 3, before: ok, after: EIO}"), "c.yaml:9:9: duplicate entry"},
		"no witness":        {but(moved, "{before: x, after: y}"), `the entry has no "witness"`},
		"move's texts":      {but(moved, "{witness: log, before: '', after: ''}"), "before and after are the same"},
		"move's key":        {but(moved, "{witnes: log, before: '', after: 'x'}"), `did you mean "witness"?`},
		"two documents":     {whole + "---\n" + whole, "c.yaml:18:1: a second document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("c.yaml", []byte(c.in))
			if errkind.Of(err) != errkind.Request || !strings.HasPrefix(err.Error(), "c.yaml:") || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "; ") {
				t.Errorf("got %q\nwant a request error of c.yaml: %s, and a hint", err, c.want)
			}
		})
	}
}

func TestCheckScenarios(t *testing.T) {
	f, err := Parse("c.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{"dax/xfs/shared-read", "dax/ext4/mkwrite", "mce/anon/ucna", "a/b"}
	if err := f.CheckScenarios(ids); err != nil {
		t.Error(err)
	}
	for missing, want := range map[string]string{
		"dax/ext4/mkwrite": `c.yaml:9:20: "dax/ext4/mkwrite" matches no scenario; did you mean "dax/ext4/mkwrit"? a * matches within one part`,
		"mce/anon/ucna":    `c.yaml:15:21: "mce/*/ucna" matches no scenario; `,
	} {
		var rest []string
		for _, id := range ids {
			if id == missing {
				id = id[:len(id)-1]
			}
			rest = append(rest, id)
		}
		if err := f.CheckScenarios(rest); errkind.Of(err) != errkind.Request || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v\nwant a request error that begins %s", err, want)
		}
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if _, err := Load(file); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), file+": no such file") {
		t.Errorf("a missing file: got %v, want a request error that names it", err)
	}
	if err := os.WriteFile(file, []byte(whole), 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := Load(file); err != nil || len(f.Changes) != 2 {
		t.Errorf("got %+v, error %v; want 2 changes", f, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("changes: [{id: a, subject: s, effect: e, shows: [{scenarios: *a, before: x, after: !!binary y}]}]"))
	f.Add([]byte("changes:\n- {<<: {id: a}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("c.yaml", data)
		if err != nil {
			if errkind.Of(err) != errkind.Request || !strings.HasPrefix(err.Error(), "c.yaml") {
				t.Errorf("got %v, want a request error with the position", err)
			}
			return
		}
		for _, c := range file.Changes {
			if c.ID == "" || c.Subject == "" || c.Effect == "" || len(c.Steps) == 0 {
				t.Errorf("got %+v, want an ID, a subject, an effect and steps", c)
			}
			for _, s := range c.Steps {
				if s.Before == s.After || s.Before == "" || s.After == "" || s.Scenarios == "" || s.Step < 0 {
					t.Errorf("got %+v, want two different outcomes, scenarios and a step of at least 0", s)
				}
			}
		}
	})
}
