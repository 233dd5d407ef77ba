package results_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// base returns a run's record with all kinds of contents, to be modified.
func base(t testing.TB) []byte {
	t.Helper()
	r := run("r1", cell("a/b", "old", "EIO"), cell("a/b", "new", "EFAULT"), cell("a/c", "old", ""))
	r.Kernels[0].Claims, r.Kernels[1].Splats = map[string]bool{"dax_fault_hwpoison": true}, []string{"WARNING in f"}
	r.Cells[0].Witnesses = map[string]string{observe.WitnessLog: "MCE: Killing victim", observe.WitnessSplats: "BUG: x"}
	r.Cells[1].Witnesses = map[string]string{observe.WitnessLog: observe.NothingAboutPoison, observe.WitnessTaint: "W"}
	r.Cells[0].Steps[0].Outcome.Signals = []observe.Signal{{Name: "SIGBUS", CodeName: "BUS_MCEERR_AR", LSB: 12, Addr: "file+0x4000"}}
	r.Cells[0].Steps[0].Expected = &observe.Expectation{Change: "dax_fault_hwpoison", Before: "x", After: "y", Side: observe.After, Met: true}
	judge.Run(&r)
	b, err := results.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// changed returns a JSON document with replaced values: of each three bytes the first two
// select the value, by its order in the document, and the third its replacement. Changing
// bytes of JSON would not give JSON.
func changed(t testing.TB, doc []byte, how []byte) []byte {
	t.Helper()
	root := []any{nil}
	if err := json.Unmarshal(doc, &root[0]); err != nil {
		t.Fatal(err)
	}
	for ; len(how) >= 3; how = how[3:] {
		var places []func(any)
		var values []any
		var walk func(any)
		walk = func(v any) {
			switch v := v.(type) {
			case []any:
				for i, e := range v {
					places, values = append(places, func(now any) { v[i] = now }), append(values, e)
					walk(e)
				}
			case map[string]any:
				for _, k := range slices.Sorted(maps.Keys(v)) {
					places, values = append(places, func(now any) { v[k] = now }), append(values, v[k])
					walk(v[k])
				}
			}
		}
		walk(root)
		at := (int(how[0])<<8 + int(how[1])) % len(places)
		with := []any{
			nil, true, 0, -1, 1.5, 1e300, "", "faultline.run/1", "\x1b[31m::error::\n", strings.Repeat("long", 1000), []any{}, map[string]any{}, []any{nil}, map[string]any{"": nil},
			"a/b", "old", "new", "infra", "expected", "unexpected", "skipped", "2026-03-01T09:30:00Z", "panic", []any{values[at], values[at]}, nil,
		}
		n := int(how[2]) % len(with)
		if n == len(with)-1 { // by another value of the document
			with[n] = values[int(how[2])*31%len(values)]
			with[n] = clone(t, with[n])
		}
		places[at](with[n])
		if len(mustMarshal(t, root[0])) > 1<<20 {
			break
		}
	}
	return mustMarshal(t, root[0])
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clone returns a deep copy, so that a document stays a tree.
func clone(t testing.TB, v any) (c any) {
	t.Helper()
	if err := json.Unmarshal(mustMarshal(t, v), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzRun: a foreign run.json is refused, or can be judged again, written and read.
func FuzzRun(f *testing.F) {
	from := base(f)
	for n := range byte(25) {
		f.Add([]byte{0, n * 10, n, 1, n, n})
	}
	f.Fuzz(func(t *testing.T, how []byte) {
		b := changed(t, from, how[:min(len(how), 30)])
		r, err := results.Parse(b, judge.Run)
		if err != nil {
			return
		}
		judge.Run(&r)
		again, err := results.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := results.Parse(again, judge.Run)
		if err != nil {
			t.Fatalf("%s\nbecame\n%s\n%v", b, again, err)
		}
		if judge.Run(&back); back.Summary.ExitCode != r.Summary.ExitCode || len(back.Findings) != len(r.Findings) {
			t.Fatalf("%s\nis judged %+v, and read again %+v", b, r.Summary, back.Summary)
		}
	})
}

// FuzzMerge: two foreign runs are refused, or merged to one that can be read, has only
// cells that one of them has or planned, and none twice.
func FuzzMerge(f *testing.F) {
	from := base(f)
	for n := range byte(25) {
		f.Add([]byte{0, n * 10, n}, []byte{1, n, n})
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		a, b = changed(t, from, a[:min(len(a), 30)]), changed(t, from, b[:min(len(b), 30)])
		have := map[string]bool{}
		var runs []results.Run
		for _, data := range [][]byte{a, b} {
			r, err := results.Parse(data, judge.Run)
			if err != nil {
				return
			}
			for _, c := range r.Cells {
				have[results.CellFile(c)] = true
			}
			for _, k := range r.Kernels {
				for _, s := range r.Scenarios {
					have[results.CellFile(observe.Cell{Kernel: k.Name, Scenario: s.ID})] = true
				}
			}
			runs = append(runs, r)
		}
		joined, ok := results.Join(judge.Run, runs...)
		if !ok {
			return
		}
		seen := map[string]bool{}
		for _, c := range joined.Cells {
			at := results.CellFile(c)
			if !have[at] || seen[at] {
				t.Errorf("a cell %s that is in none, or twice", at)
			}
			seen[at] = true
		}
		out, err := json.Marshal(joined)
		if err != nil {
			t.Fatal(err)
		}
		if err := results.Validate(out); err != nil {
			var schema *results.SchemaError
			t.Fatalf("%v (%t)\n%s", err, errors.As(err, &schema), bytes.TrimSpace(out))
		}
	})
}
