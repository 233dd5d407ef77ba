package matrix

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/faultline/faultline/kernels/source"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/kernels"
)

func TestEmbeddedMatrices(t *testing.T) {
	d, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	w, err := Wide()
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Kernels) != 2 || d.Kernels[0].Spec != "apt:bookworm" || d.Kernels[1].Spec != "apt:bookworm/6.12" {
		t.Errorf("got default matrix %+v, want apt:bookworm and apt:bookworm/6.12", d.Kernels)
	}
	for _, e := range append(d.Kernels, w.Kernels...) {
		if len(e.Has) != 0 {
			t.Errorf("%s declares %v: the changes of a moving target must be probed", e.Spec, e.Has)
		}
	}
	specs := map[string]bool{}
	for _, e := range w.Kernels {
		specs[e.Spec] = true
	}
	for _, e := range d.Kernels {
		if !specs[e.Spec] {
			t.Errorf("the wide matrix does not have %s", e.Spec)
		}
	}
}

func TestParseMatrix(t *testing.T) {
	m, err := Parse("m.yaml", []byte("kernels:\n  - name: old\n    spec: apt:bookworm\n    has:\n      dax_fault_hwpoison: true\n  - {spec: 'dir:/k'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Name: "old", Spec: "apt:bookworm", Has: map[string]bool{"dax_fault_hwpoison": true}, Pos: "m.yaml:2:5"},
		{Spec: "dir:/k", Pos: "m.yaml:6:5"},
	}
	if d := cmp.Diff(want, m.Kernels); d != "" {
		t.Errorf("kernels mismatch (-want +got):\n%s", d)
	}
}

func TestMatrixErrors(t *testing.T) {
	for name, c := range map[string]struct{ in, at, want string }{
		"empty":             {"", "m.yaml:1:1", "the matrix is empty"},
		"no YAML":           {"kernels: [\n", "m.yaml:1:10", ""},
		"a list":            {"- spec: apt:bookworm\n", "m.yaml:1:1", "the matrix is a list"},
		"unknown key":       {"kernel:\n- spec: apt:bookworm\n", "m.yaml:1:1", `did you mean "kernels"?`},
		"no list":           {"kernels: apt:bookworm\n", "m.yaml:1:10", "kernels is text, not a list"},
		"empty list":        {"kernels: []\n", "m.yaml:1:1", "an empty list"},
		"entry is text":     {"kernels:\n- apt:bookworm\n", "m.yaml:2:3", "the entry is text"},
		"not this source's": {"kernels:\n- spec: apt:bookworm\n  config: x\n", "m.yaml:3:3", `unknown key "config" in the entry`},
		"setting empty":     {"kernels:\n- config: ''\n  spec: dir:x\n", "m.yaml:2:", "config is"},
		"near key":          {"kernels:\n- spec: apt:bookworm\n  nmae: x\n", "m.yaml:3:3", `unknown key "nmae" in the entry; did you mean "name"?`},
		"no spec":           {"kernels:\n- name: x\n", "m.yaml:2:3", `no "spec"`},
		"spec is a number":  {"kernels:\n- spec: 6.12\n", "m.yaml:2:9", "spec is a number, not text"},
		"spec is empty":     {"kernels:\n- spec:\n", "m.yaml:2:", "spec is empty, not text"},
		"unknown scheme":    {"kernels:\n- spec: aptt:bookworm\n", "m.yaml:2:9", `unknown scheme "aptt"`},
		"has is a list":     {"kernels:\n- spec: apt:bookworm\n  has: [x]\n", "m.yaml:3:8", "has is a list"},
		"has a text":        {"kernels:\n- spec: apt:bookworm\n  has: {x: yes please}\n", "m.yaml:3:12", "x is text, not true or false"},
		"a name with ESC":   {"kernels:\n- spec: apt:sid\n  name: \"red \\e[31m\"\n", "m.yaml:3:9", "is not a line of plain text"},
		"a name of lines":   {"kernels:\n- spec: apt:sid\n  name: |\n    a\n    b\n", "m.yaml:3:", "is not a line of plain text"},
		"a name with C1":    {"kernels:\n- spec: apt:sid\n  name: \"a\\u009b2J\"\n", "m.yaml:3:9", "is not a line of plain text"},
		"a command":         {"kernels:\n- spec: apt:sid\n  name: \"::error::x\"\n", "m.yaml:3:9", "is not a line of plain text"},
		"same name":         {"kernels:\n- spec: apt:bookworm\n- spec: apt:sid\n  name: apt:bookworm\n", "m.yaml:4:9", "already the name of the entry at m.yaml:2:3"},
		"same spec":         {"kernels:\n- spec: apt:bookworm\n- spec: apt:bookworm\n", "m.yaml:3:9", "a unique name"},
		"key twice":         {"kernels:\n- spec: apt:bookworm\n  spec: apt:sid\n", "m.yaml:3:3", ""},
		"an alias":          {"kernels:\n- spec: &a apt:bookworm\n", "m.yaml:2:", "anchor or alias"},
		"two documents":     {"kernels:\n- spec: apt:bookworm\n---\nkernels: []\n", "m.yaml:4:1", "a second document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("m.yaml", []byte(c.in))
			var spec *kernels.SpecError
			if !errors.As(err, &spec) {
				t.Fatalf("got %v, want a SpecError", err)
			}
			if !strings.HasPrefix(spec.What, c.at) || !strings.Contains(err.Error(), c.want) || spec.Hint == "" {
				t.Errorf("got %q\nwant %s ... %s, and a hint", err, c.at, c.want)
			}
		})
	}
}

func TestCheckChanges(t *testing.T) {
	known := []string{"dax_fault_hwpoison", "dax_folios"}
	for name, c := range map[string]struct{ in, want string }{
		"nothing declared": {"kernels:\n- spec: apt:bookworm\n", ""},
		"known":            {"kernels:\n- spec: apt:bookworm\n  has: {dax_folios: true, dax_fault_hwpoison: false}\n", ""},
		"a letter off": {"kernels:\n- spec: apt:bookworm\n  has:\n    dax_folios: true\n    dax_fault_hwposion: true\n",
			`m.yaml:5:5: no change is called "dax_fault_hwposion"; did you mean "dax_fault_hwpoison"? known are dax_fault_hwpoison, dax_folios`},
		"flow style": {"kernels:\n- {spec: 'apt:sid', has: {dax: true}}\n",
			`m.yaml:2:27: no change is called "dax"; did you mean "dax_folios" or "dax_fault_hwpoison"? known are dax_fault_hwpoison, dax_folios`},
		"the second entry": {"kernels:\n- spec: apt:bookworm\n- spec: apt:sid\n  has: {no_such_change: false}\n",
			`m.yaml:4:9: no change is called "no_such_change"; known are dax_fault_hwpoison, dax_folios`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse("m.yaml", []byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := m.CheckChanges(known); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestLoadMatrix(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.yaml")
	var spec *kernels.SpecError
	if _, err := Load(file); !errors.As(err, &spec) || !strings.Contains(err.Error(), file) {
		t.Errorf("missing file: got %v, want a SpecError that names it", err)
	}
	if err := os.WriteFile(file, defaultYAML, 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := Load(file); err != nil || len(m.Kernels) != 2 {
		t.Errorf("got %v, error %v; want 2 kernels", m, err)
	}
	if _, err := Load("/dev/zero"); !errors.As(err, &spec) || !strings.Contains(err.Error(), "/dev/zero is larger than 64 KiB") {
		t.Errorf("endless file: got %v, want a SpecError of more than 64 KiB", err)
	}
}

// Valid matrices do not hit the parser's limits.
func TestDepthOfAMatrix(t *testing.T) {
	many := "kernels:\n"
	for i := range 1000 {
		many += fmt.Sprintf("- name: k%d\n  spec: apt:bookworm/%d\n", i, i)
	}
	for name, in := range map[string]string{
		"brackets in brackets": "kernels: [{spec: 'apt:sid', has: {dax_folios: true, dax_fault_hwpoison: false, x: true, y: true, z: true}}, {spec: 'apt:trixie'}]\n",
		"indented far":         "kernels:\n          -    spec:   apt:sid\n               has:\n                                  dax_folios:   true\n                                  b: false\n",
		"a thousand kernels":   many,
		"comments":             "# a\n# [[[[[[[[[[[[[[[\nkernels: # {{{{{{{{{{{{{{\n- spec: apt:sid # - - - - - - - - - -\n",
	} {
		if _, err := Parse("m.yaml", []byte(in)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMatrix(f *testing.F) {
	f.Add(defaultYAML)
	f.Add([]byte("kernels:\n- {name: x, spec: 'dir:/k', has: {a: true}}\n"))
	f.Add([]byte("kernels: [{spec: *a}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("m.yaml", data)
		if err != nil {
			var spec *kernels.SpecError
			if !errors.As(err, &spec) || !strings.HasPrefix(spec.What, "m.yaml") {
				t.Errorf("got error %v, want one with a position", err)
			}
			return
		}
		for _, e := range m.Kernels {
			if source.All().Check(e.Spec) != nil {
				t.Errorf("entry %+v has an invalid spec", e)
			}
		}
	})
}
