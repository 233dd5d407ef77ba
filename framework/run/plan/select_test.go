package plan

import (
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/internal/errkind"
)

func infos(ids ...string) []scenario.Info {
	var out []scenario.Info
	for _, id := range ids {
		out = append(out, scenario.Info{ID: id, Suite: strings.Split(id, "/")[0], Labels: []string{"id:" + strings.ReplaceAll(id, "/", "."), "fs:" + strings.Split(id, "/")[1]}})
	}
	return out
}

var catalogue = infos("dax/ext4/shared-read", "dax/ext4/shared-write", "dax/xfs/shared-read", "ram/anon/read", "syscalls/ext4/pread")

// A scenario that no kernel can run is selected only by a glob.
func TestSelectSkipped(t *testing.T) {
	all := infos("dax/ext4/shared-read", "dax/ext4/never")
	all[1].Skipped = "no kernel has it"
	for glob, want := range map[string]int{"": 1, "dax/*": 2} {
		var globs []string
		if glob != "" {
			globs = []string{glob}
		}
		picked, err := Select(all, globs, "")
		if err != nil || len(picked) != want {
			t.Errorf("%q: got %d picked, error %v; want %d", glob, len(picked), err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	for name, c := range map[string]struct {
		globs []string
		label string
		want  string // ids, or a part of the error
	}{
		"all":              {nil, "", "dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read ram/anon/read syscalls/ext4/pread"},
		"one":              {[]string{"ram/anon/read"}, "", "ram/anon/read"},
		"star over parts":  {[]string{"*read"}, "", "dax/ext4/shared-read dax/xfs/shared-read ram/anon/read syscalls/ext4/pread"},
		"question mark":    {[]string{"dax/???/*"}, "", "dax/xfs/shared-read"},
		"two, in order":    {[]string{"ram/*", "dax/xfs/*"}, "", "dax/xfs/shared-read ram/anon/read"},
		"overlap":          {[]string{"ram/*", "*/anon/*"}, "", "ram/anon/read"},
		"no regexp":        {[]string{"dax/.*"}, "", `no scenario matches "dax/.*"`},
		"label":            {nil, "fs:xfs", "dax/xfs/shared-read"},
		"label and glob":   {[]string{"*read"}, "fs: containsAny {ext4}", "dax/ext4/shared-read syscalls/ext4/pread"},
		"label takes none": {[]string{"ram/*"}, "fs:xfs", `label filter "fs:xfs" selects no scenario`},
		"wrong label":      {nil, "(fs:xfs", `label filter "(fs:xfs": mismatched '(' - could not find matching ')'; an example is`},
		"id by label":      {nil, "id: dax/ext4/shared-read", "dax/ext4/shared-read"},
		"id, as a label":   {nil, "id:dax/ext4/shared-read", "dax/ext4/shared-read"},
		"id in a set":      {nil, "id: containsAny dax/ext4/shared-read", "dax/ext4/shared-read"},
		"ids in a set":     {nil, "id: containsAny {dax/ext4/shared-read, ram/anon/read}", "dax/ext4/shared-read ram/anon/read"},
		"ids, or":          {nil, "id: dax/ext4/shared-read || id:ram/anon/read,id: syscalls/ext4/pread", "dax/ext4/shared-read ram/anon/read syscalls/ext4/pread"},
		"not an id":        {nil, "fs: ext4 && !id: dax/ext4/shared-read", "dax/ext4/shared-write syscalls/ext4/pread"},
		"ids in groups":    {nil, "(id: dax/ext4/shared-read||id: dax/xfs/shared-read) && fs:xfs", "dax/xfs/shared-read"},
		"id with dots":     {nil, "id: containsAny dax.ext4.shared-read", "dax/ext4/shared-read"},
		"regexp":           {nil, "/shared-/", "dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read"},
		"regexp of an id":  {nil, `/^id:dax\.ext4\..*read$/`, "dax/ext4/shared-read"},
		"regexps":          {nil, "/read$/ && !/dax/ && !id: ram/anon/read", "syscalls/ext4/pread"},
		"regexp in group":  {nil, "(/ext4/)&&id:syscalls/ext4/pread", "syscalls/ext4/pread"},
		"regexp, no end":   {nil, "/pread", "syscalls/ext4/pread"},
		"wrong regexp":     {nil, "/(/", "regExp compilation error"},
		"wrong operation":  {nil, "fs: containAny {ext4}", "invalid set operation 'containAny'"},
		"empty set":        {nil, "id: isEmpty", "selects no scenario"},
		"regexp for a key": {nil, "id: /dax/", "invalid set operation '/dax/'"},
		"regexp in a set":  {nil, "id: containsAny /dax/", "set operations do not support regular expressions"},
		"one glob is off":  {[]string{"ram/*", "rom/*"}, "", `no scenario matches "rom/*"`},
		"a part":           {[]string{"shared-read"}, "", `no scenario matches "shared-read"; did you mean dax/ext4/shared-read, dax/xfs/shared-read?`},
		"swapped letters":  {[]string{"dax/ext4/shared-raed"}, "", "did you mean dax/ext4/shared-read"},
		"wrong part":       {[]string{"shared-raed"}, "", "did you mean dax/ext4/shared-read, dax/xfs/shared-read"},
		"wrong with star":  {[]string{"*/shared-wirte"}, "", "did you mean dax/ext4/shared-write?"},
		"nothing like it":  {[]string{"nope"}, "", `no scenario matches "nope"; run faultline list to see all`},
		"empty":            {[]string{""}, "", "--scenario is empty; give an id"},
	} {
		t.Run(name, func(t *testing.T) {
			picked, err := Select(catalogue, c.globs, c.label)
			if err != nil {
				if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want a request error with %q", err, c.want)
				}
				return
			}
			var ids []string
			for _, i := range picked {
				ids = append(ids, i.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
