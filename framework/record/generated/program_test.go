package generated

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for id, want := range map[string]string{
		"generated/anon/poison/load":                               "",
		"generated/anon/store/fork/corrupt-pfn/child-load":         "",
		"generated/dax-ext4-shared/badblock/second-pread":          "",
		"generated/swapped/badblock/thread-load":                   "",
		"dax/ext4/shared-read":                                     "is no generated program",
		"generated/anon":                                           "is no generated program",
		"generated/anno/poison/load":                               `no place "anno"; did you mean anon?`,
		"generated/anon/poison/laod":                               `no step "laod"; did you mean load?`,
		"generated/anon/load":                                      "it injects nothing",
		"generated/anon/badblock/load":                             "badblock is not possible on anon",
		"generated/anon/poison/pread":                              "pread is not possible on anon",
		"generated/anon/poison/child-load":                         "child-load needs a fork before it",
		"generated/anon/poison/second-load":                        "second-load needs memory of a file",
		"generated/anon/fork/poison/child-mlock":                   "the child process cannot do mlock",
		"generated/anon/fork/fork/poison":                          "fork is possible only once",
		"generated/anon/hard-offline/load":                         "hard-offline needs a page that was accessed before it",
		"generated/dax-xfs-shared/vmsplice/badblock/punch":         "punch would wait for a page that the program has pinned",
		"generated/cache-xfs-shared/vmsplice/badblock/punch":       "",
		"generated/anon/unpoison/poison":                           "unpoison needs an injection before it",
		"generated/anon/poison/unpoison":                           "unpoison needs a page that was injected by its frame",
		"generated/anon/poison/load/load/load/load/load/load/load": "it has 8 steps, want 1 to 6",
	} {
		p, err := Parse(id)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", id, err)
		case want == "" && p.ID() != id:
			t.Errorf("%s: got the id %s", id, p.ID())
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want %s", id, err, want)
		}
	}
}

// A place is followed only by simpler ones, so that reducing ends.
func TestPlain(t *testing.T) {
	at := map[string]int{}
	for i, p := range places {
		at[p.Name] = i
	}
	for i, p := range places {
		for _, name := range p.Plain {
			if j, ok := at[name]; !ok || j >= i {
				t.Errorf("%s: %s is not a place before it", p.Name, name)
			}
		}
	}
}

func TestGeneral(t *testing.T) {
	for text, want := range map[string]string{
		"load file+0x4005":                         "load BYTE",
		"madvise(anon#2+0x0, 4096, 100)":           "madvise(PAGE, 4096, 100)",
		"at file+0x0":                              "at START",
		"page flags of pmem(nfit,ext4)+0x4000":     "page flags of PAGE",
		"badblock swap of anon+0x4000, 8 sectors":  "badblock PAGE, 8 sectors",
		"Killing second:N due to hardware":         "Killing PROCESS:N due to hardware",
		"SIGBUS BUS_MCEERR_AR lsb=12 at file+0x40": "SIGBUS BUS_MCEERR_AR lsb=12 at ADDRESS",
	} {
		if got := General(text); got != want {
			t.Errorf("General(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("generated/anon/poison/load")
	f.Fuzz(func(t *testing.T, id string) {
		if p, err := Parse(id); err == nil && p.ID() != id {
			t.Errorf("%q parses as %q", id, p.ID())
		}
	})
}
