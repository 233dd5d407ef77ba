package run

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/quick"

	"github.com/faultline/faultline/framework"
)

func infos(ids ...string) []framework.Info {
	var out []framework.Info
	for _, id := range ids {
		out = append(out, framework.Info{ID: id, Suite: strings.Split(id, "/")[0], Labels: []string{"id:" + strings.ReplaceAll(id, "/", "."), "fs:" + strings.Split(id, "/")[1]}})
	}
	return out
}

var catalogue = infos("dax/ext4/shared-read", "dax/ext4/shared-write", "dax/xfs/shared-read", "ram/anon/read", "syscalls/ext4/pread")

func TestSelect(t *testing.T) {
	for name, c := range map[string]struct {
		globs []string
		label string
		want  string // ids, or what the error says
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
		"label takes none": {[]string{"ram/*"}, "fs:xfs", `no scenario is left by label filter "fs:xfs"`},
		"wrong label":      {nil, "(fs:xfs", `label filter "(fs:xfs": Syntax Error Parsing Label Filter (fs:xfs Mismatched '(' - could not find matching ')'.`},
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
		"wrong regexp":     {nil, "/(/", "RegExp compilation error"},
		"wrong operation":  {nil, "fs: containAny {ext4}", "Invalid set operation 'containAny'"},
		"empty set":        {nil, "id: isEmpty", "no scenario is left"},
		"regexp for a key": {nil, "id: /dax/", "Invalid set operation '/dax/'"},
		"regexp in a set":  {nil, "id: containsAny /dax/", "Set operations do not support regular expressions"},
		"one glob is off":  {[]string{"ram/*", "rom/*"}, "", `no scenario matches "rom/*"`},
		"a part":           {[]string{"shared-read"}, "", `no scenario matches "shared-read"; did you mean dax/ext4/shared-read, dax/xfs/shared-read?`},
		"swapped letters":  {[]string{"dax/ext4/shared-raed"}, "", "did you mean dax/ext4/shared-read"},
		"wrong part":       {[]string{"shared-raed"}, "", "did you mean dax/ext4/shared-read, dax/xfs/shared-read"},
		"wrong with star":  {[]string{"*/shared-wirte"}, "", "did you mean dax/ext4/shared-write?"},
		"nothing like it":  {[]string{"nope"}, "", `no scenario matches "nope"; faultline list shows them all`},
		"empty":            {[]string{""}, "", `no scenario matches ""; faultline list`},
	} {
		t.Run(name, func(t *testing.T) {
			picked, err := Select(catalogue, c.globs, c.label)
			if err != nil {
				var request *RequestError
				if !errors.As(err, &request) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, not %q", err, c.want)
				}
				return
			}
			var ids []string
			for _, i := range picked {
				ids = append(ids, i.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("%s, not %s", got, c.want)
			}
		})
	}
}

func TestParseShard(t *testing.T) {
	for s, want := range map[string]Shard{"": {}, "1/1": {1, 1}, "2/4": {2, 4}, "4/4": {4, 4}, "17/120": {17, 120}} {
		if got, err := ParseShard(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"3", "0/4", "5/4", "-1/4", "1/0", "1/", "/4", "1/4x", "1/4/2", "a/b", "1 of 4"} {
		if got, err := ParseShard(s); err == nil || !strings.Contains(err.Error(), "as in 2/4") {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
}

// Whatever the number of things and of shards: each thing is in exactly one
// shard, and no shard has more than one thing more than another.
func TestShardsAreDisjointAndComplete(t *testing.T) {
	property := func(things uint16, shards uint8) bool {
		n, of := int(things)%2000, int(shards)%64+1
		next, least, most := 0, n, 0
		for i := 1; i <= of; i++ {
			from, to := Shard{i, of}.cut(n)
			if from != next || to < from {
				return false
			}
			next, least, most = to, min(least, to-from), max(most, to-from)
		}
		return next == n && most-least <= 1
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
	if from, to := (Shard{}).cut(7); from != 0 || to != 7 {
		t.Error("no shard is not everything")
	}
}

// Planned by shards, every cell is planned once.
func TestShardsOfAPlan(t *testing.T) {
	for of := 1; of <= 12; of++ {
		planned := map[string]int{}
		for i := 1; i <= of; i++ {
			r, ks, suites := plan(t, Shard{i, of}, 0)
			cells := 0
			for _, task := range tasks(t, r, ks, suites, catalogue) {
				for _, i := range task.Scenarios {
					planned[task.Kernel.Name+" "+i.ID]++
					cells++
				}
			}
			if cells != r.total {
				t.Errorf("shard %d/%d counts %d cells and has %d", i, of, r.total, cells)
			}
		}
		if want := 2 * len(catalogue); len(planned) != want {
			t.Errorf("%d shards: %d cells, not %d", of, len(planned), want)
		}
		for cell, n := range planned {
			if n != 1 {
				t.Errorf("%d shards: %s is planned %d times", of, cell, n)
			}
		}
	}
}

func ExampleParseShard() {
	_, err := ParseShard("3")
	fmt.Println(err)
	// Output: shard "3": want I/N with I from 1 to N, as in 2/4
}
