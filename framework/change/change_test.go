package change

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels/upstream"
)

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		glob, id string
		want     bool
	}{
		{"mce/anon/write", "mce/anon/write", true},
		{"mce/anon/write", "mce/anon/write-x", false},
		{"dax/*/pread", "dax/ext4/pread", true},
		{"dax/*/pread", "dax/ext4/pread-span", false},
		{"dax/*/pread", "dax/a/b/pread", false}, // a * does not match a slash
		{"dax/*", "dax/ext4/pread", false},
		{"mce/pagecache-*/cow", "mce/pagecache-xfs/cow", true},
		{"mce/pagecache-*/cow", "mce/anon/cow", false},
		{"*", "dax", true},
		{"[", "[", false}, // not a glob
		{"", "", true},
	} {
		if got := Matches(test.glob, test.id); got != test.want {
			t.Errorf("Matches(%q, %q) = %t, want %t", test.glob, test.id, got, test.want)
		}
	}
}

func TestMove(t *testing.T) {
	killing := WitnessEffect{Witness: "log", After: "MCE: Killing * due to hardware memory corruption fault at N"}
	count := WitnessEffect{Scenarios: "mce/ext4/*", Witness: "HardwareCorrupted", Before: "0 kB", After: "4 kB"}
	pages := WitnessEffect{Witness: "kpageflags anon+*", Before: "no *", After: "*hwpoison*x"}
	for _, test := range []struct {
		move              WitnessEffect
		scenario, witness string
		takes             bool
	}{
		{killing, "any/thing", "log", true},
		{killing, "any/thing", "logs", false},
		{count, "mce/ext4/ucna", "HardwareCorrupted", true},
		{count, "mce/xfs/ucna", "HardwareCorrupted", false},
		{count, "mce/ext4/ucna", "log", false},
		{pages, "a/b", "kpageflags anon+0x1000", true},
		{pages, "a/b", "kpageflags file+0x1000", false},
	} {
		if got := test.move.Applies(test.scenario, test.witness); got != test.takes {
			t.Errorf("%+v: Takes(%q, %q) = %t, want %t", test.move, test.scenario, test.witness, got, test.takes)
		}
	}
	for _, test := range []struct {
		move     WitnessEffect
		value    string
		from, to bool
	}{
		{killing, "", true, false}, // no such line, exactly
		{killing, "MCE: Killing victim due to hardware memory corruption fault at N", false, true},
		{killing, "MCE: Killing another process due to hardware memory corruption fault at N", false, true},
		{killing, "MCE: Killing victim due to hardware memory corruption fault at N, again", false, false},
		{killing, "x MCE: Killing victim due to hardware memory corruption fault at N", false, false},
		{count, "0 kB", true, false},
		{count, "4 kB", false, true},
		{count, "14 kB", false, false},
		{count, "0 kB ", false, false},
		{pages, "no page", true, false},
		{pages, "hwpoison x", false, true},
		{pages, "hwpoison", false, false},
		{pages, "x hwpoison", false, false}, // the end must follow the middle
		{WitnessEffect{Before: "a*a", After: "*"}, "a", false, true},
		{WitnessEffect{Before: "a*a", After: "*"}, "aa", true, true},
		{WitnessEffect{Before: "a*b*c", After: ""}, "a-c-b", false, false},
		{WitnessEffect{Before: "a*b*c", After: ""}, "a-b-c", true, false},
		{WitnessEffect{Before: "a*bc*c", After: "*"}, "abc", false, true}, // no byte matches twice
	} {
		if from, to := test.move.From(test.value), test.move.To(test.value); from != test.from || to != test.to {
			t.Errorf("%+v: %q: From = %t, To = %t, want %t, %t", test.move, test.value, from, to, test.from, test.to)
		}
	}
}

func TestTells(t *testing.T) {
	c := Change{Scenarios: []string{"mce/*/corrupt-pfn", "dax/*/second-process"}}
	for id, want := range map[string]bool{"dax/xfs/second-process": true, "mce/ext4/corrupt-pfn": true, "mce/ext4/corrupt-pfn-early": false, "dax/ext4/pread": false} {
		if c.Covers(id) != want {
			t.Errorf("Tells(%q) = %t, want %t", id, !want, want)
		}
	}
}

// Every change has all required fields, in the form that their readers parse.
func TestAll(t *testing.T) {
	release, commit := regexp.MustCompile(`^v\d+\.\d+$`), regexp.MustCompile(`^([0-9a-f]{12})?$`)
	symbol, function := regexp.MustCompile(`^[A-Z0-9_]+$`), regexp.MustCompile(`^[a-z0-9_]+$`)
	seen := map[string]bool{}
	if !slices.IsSortedFunc(All(), func(a, b Change) int {
		return cmp.Or(firstRelease(t, a).Major-firstRelease(t, b).Major, firstRelease(t, a).Minor-firstRelease(t, b).Minor)
	}) {
		t.Errorf("got %v, want the order of the upstream releases", All().IDs())
	}
	for _, c := range All() {
		if c.ID == "" || seen[c.ID] || !commit.MatchString(c.Commit) || !release.MatchString(c.Since) || c.Subject == "" || c.Effect == "" || len(c.Scenarios) == 0 || len(c.CallPath) == 0 {
			t.Errorf("got %+v, want an ID of its own, a commit, a release, and every text and list", c)
		}
		seen[c.ID] = true
		for _, s := range c.NeedsConfig {
			if !symbol.MatchString(s) || strings.HasPrefix(s, "CONFIG_") {
				t.Errorf("%s: got the symbol %q, want one without CONFIG_", c.ID, s)
			}
		}
		for _, f := range c.CallPath {
			if !function.MatchString(f) {
				t.Errorf("%s: got %q, want the name of a function", c.ID, f)
			}
		}
		globs := slices.Clone(c.Scenarios)
		for _, m := range c.Witnesses {
			if m.Witness == "" || m.Before == m.After {
				t.Errorf("%s: got a move without effect: %+v", c.ID, m)
			}
			globs = append(globs, m.Scenarios)
		}
		for _, g := range globs {
			if _, err := path.Match(g, "x"); err != nil {
				t.Errorf("%s: %q: %v", c.ID, g, err)
			}
		}
		if got, err := All().ByID(c.ID); err != nil || got.Commit != c.Commit {
			t.Errorf("%s: got %+v, error %v; want the commit %s", c.ID, got, err, c.Commit)
		}
	}
	if len(All().IDs()) != len(All()) || All().IDs()[0] != All()[0].ID {
		t.Errorf("got the IDs %v, want one of each change, in their order", All().IDs())
	}
	if _, err := All().ByID("dax_fault_hwpoisn"); err == nil || !strings.Contains(err.Error(), "did you mean dax_fault_hwpoison?") {
		t.Errorf("got %v, want did you mean dax_fault_hwpoison?", err)
	}
	if _, err := All().ByID("zzzzzzzzzzzzzzzzzz"); err == nil || !strings.Contains(err.Error(), "known are") {
		t.Errorf("got %v, want an error with the known ones", err)
	}
}

// firstRelease returns the first upstream release with a change.
func firstRelease(t *testing.T, c Change) upstream.Release {
	t.Helper()
	r, err := upstream.ParseRelease(c.Since)
	if err != nil {
		t.Errorf("%s: %v", c.ID, err)
	}
	return r
}

// Stable updates belong to series older than the release with the change, one per series.
func TestStable(t *testing.T) {
	for _, c := range All() {
		since := firstRelease(t, c)
		fixed := map[upstream.Release]bool{}
		for _, s := range c.Fixed {
			v, err := upstream.ParseUpdate(s)
			until, wrong := upstream.ParseRelease(c.Until)
			series := upstream.Release{Major: v.Major, Minor: v.Minor}
			if err != nil || wrong != nil || series.AtLeast(until) || !series.AtLeast(since) || fixed[series] {
				t.Errorf("%s, fixed in %s: got the update %s, error %v; want a series from %s on, and each once", c.ID, c.Until, s, err, c.Since)
			}
			fixed[series] = true
		}
		seen := map[upstream.Release]bool{}
		for _, s := range c.Stable {
			v, err := upstream.ParseUpdate(s)
			series := upstream.Release{Major: v.Major, Minor: v.Minor}
			if err != nil || series.AtLeast(since) || seen[series] {
				t.Errorf("%s, in %s: got the update %s, error %v; want an older series, and each once", c.ID, c.Since, s, err)
			}
			seen[series] = true
		}
	}
}

func FuzzLike(f *testing.F) {
	f.Add("a*b", "axb")
	f.Add("*", "")
	f.Add("a**b*", "ab")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want, err := regexp.MatchString(`(?s)\A`+strings.Join(parts, ".*")+`\z`, text)
		if err == nil && like(pattern, text) != want {
			t.Errorf("like(%q, %q) = %t, want %t", pattern, text, !want, want)
		}
	})
}
