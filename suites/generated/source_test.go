package generated

import (
	"encoding/json"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/observe"
)

func TestSpec(t *testing.T) {
	for _, test := range []struct {
		id     string
		course course
		want   string
	}{
		{"generated/dax-ext4-shared/badblock/load", course{expected: map[int]string{1: "BeOutcome(OK())"}, done: map[int]bool{0: true, 1: true}}, `It("text", Scenario("found/x",
	Needs("MEMORY_FAILURE"), NeedsPageMap(), NeedsDAX(NFIT, Ext4)), func(ctx SpecContext) {
	g := StartGuest(ctx)
	v := g.Victim(ctx)
	mount := g.DAX(ctx, Ext4)
	f := mount.File(ctx, 64*KiB)
	m := v.Map(ctx, f, Shared)
	at := m.At(Page(4) + 5)
	g.InjectMayFail(ctx, inject.BadBlock(f, Page(4)))
	load := v.Load(ctx, at)
	Expect(load).To(BeOutcome(OK()))
})`},
	} {
		p, err := generated.Parse(test.id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := spec(p, "found/x", "text", test.course)
		if err != nil {
			t.Fatal(err)
		}
		text, err := format.Source([]byte(got))
		if err != nil {
			t.Fatalf("%v:\n%s", err, got)
		}
		if got := strings.TrimSpace(string(text)); got != test.want {
			t.Errorf("%s:\n%s", test.id, got)
		}
	}
}

// The specs of all operations on all places are valid.
func TestFoundCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go build; skipped with -short")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, n := t.TempDir(), 0
	overlay := map[string]map[string]string{"Replace": {}}
	done := map[string]bool{}
	write := func(p generated.Program) {
		cells := [2]observe.Cell{}
		for i, s := range p.Steps {
			if s.Name != generated.Fork { // has no result
				cells[0].Steps = append(cells[0].Steps, observe.Step{Action: "x", Of: i + 1})
				cells[1].Steps = append(cells[1].Steps, observe.Step{Action: "x", Of: i + 1})
			}
		}
		if n%2 == 0 {
			cells[1].Steps[0].Outcome.Errno = "EIO"
		}
		source, err := Found(p, [2]string{"a", "b"}, cells[0], cells[1])
		if err != nil {
			t.Fatalf("%s: %v\n%s", p.ID(), err, source)
		}
		n++
		file := filepath.Join(dir, fmt.Sprint(n, ".go"))
		// All are files of one package.
		text := strings.ReplaceAll(string(source), "found", fmt.Sprint("found", n))
		text = strings.Replace(text, fmt.Sprint("package found", n, "\n"), "package found\n", 1)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay["Replace"][filepath.Join(root, "suites/found", filepath.Base(file))] = file
	}
	for _, place := range generated.Places() {
		for _, o := range generated.Operations() {
			for _, r := range append([]generated.Role{generated.Victim}, o.Roles...) {
				p := program(place, generated.Step{Role: r, Operation: o})
				step := p.Steps[len(p.Steps)-1].String()
				if p.Check() != "" || done[step] && done[place.Name] {
					continue
				}
				done[step], done[place.Name] = true, true
				write(p)
			}
		}
	}
	for _, id := range []string{
		"anon/poison", "dax-ext4-shared/badblock", "dax-ext4-shared/fork/badblock", "anon/poison/mremap",
		"anon/poison/mremap/mincore", "anon/poison/mremap/load", "anon/store/poison/mremap/store/vmsplice",
		"swapped/badblock/load", "anon/store/fork/hard-offline/child-load", "dax-xfs-huge/load/consume/unpoison",
		"hugetlbfs-shared/store/consume/second-load/thread-load",
	} {
		p, err := generated.Parse("generated/" + id)
		if err != nil {
			t.Fatal(err)
		}
		write(p)
	}
	for _, o := range generated.Operations() {
		if !done[o.Name] {
			t.Errorf("no program with %s", o.Name)
		}
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, data, 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay="+list, "./suites/found")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("go build of %d specs: %v\n%s", n, err, out)
	}
}

// program returns a program with a step, after what makes it make sense.
func program(place generated.Place, s generated.Step) generated.Program {
	named := func(name string) generated.Step {
		for _, o := range generated.Operations() {
			if o.Name == name {
				return generated.Step{Operation: o}
			}
		}
		panic(name)
	}
	p := generated.Program{Place: place, Steps: []generated.Step{named("store"), named("hard-offline"), s}}
	if s.Role == generated.Child {
		p.Steps = slices.Insert(p.Steps, 1, named(generated.Fork))
	}
	return p
}
