package results_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// oldRun is a run in the previous schema: kernels have the changes that were declared or
// probed, and expectations what followed for the kernel.
const oldRun = `{
  "schema": "faultline.run/1", "id": "20260301T093000Z", "started": "2026-03-01T09:30:00Z", "finished": "2026-03-01T09:31:00Z",
  "tool": {"version": "0.1.0"}, "host": {"os": "Debian", "cpu": "x", "cores": 2, "memory_bytes": 8589934592, "qemu": "7.2.22"},
  "accel": "auto", "command": ["faultline", "run"],
  "kernels": [
    {"name": "6.1", "spec": "apt:bookworm", "release": "6.1.0-56-amd64", "arch": "amd64", "digest": "sha256:1", "accel": "tcg", "changes": [
      {"id": "dax_fault_hwpoison", "has": false, "known": true, "by": "probe", "agree": ["dax/ext4/shared-read"], "verdict": "absent"}]},
    {"name": "6.12", "spec": "apt:bookworm/6.12", "release": "6.12.117+deb12-amd64", "arch": "amd64", "digest": "sha256:2", "accel": "tcg", "boot_ms": 2840.5, "changes": [
      {"id": "dax_fault_hwpoison", "has": true, "known": true, "by": "declared", "agree": ["dax/ext4/shared-read"], "disagree": ["dax/xfs/private-cow"], "verdict": "incomplete"},
      {"id": "dax_folios", "has": false, "known": true, "by": "declared", "verdict": "unknown"}]}
  ],
  "scenarios": [
    {"id": "dax/ext4/shared-read", "doc": "a load", "suite": "dax", "changes": ["dax_fault_hwpoison"], "catalogue": ["A01"], "lead": true},
    {"id": "dax/xfs/private-cow", "doc": "a store", "suite": "dax", "changes": ["dax_fault_hwpoison"]},
    {"id": "dax/ext4/pread", "doc": "a read", "suite": "syscalls", "needs": ["FS_DAX"]}
  ],
  "cells": [
    {"scenario": "dax/ext4/shared-read", "kernel": "6.1", "accel": "tcg", "verdict": "expected", "started": "2026-03-01T09:30:10Z", "ms": 212.5, "witnesses": {"log": "nothing about poison"}, "steps": [
      {"actor": "agent", "action": "mount pmem(nfit,ext4) -o dax", "outcome": {}},
      {"actor": "victim", "action": "load file+0x4005 width 1", "outcome": {"signals": [{"signo": 7, "name": "SIGBUS", "code": 2, "code_name": "BUS_ADRERR", "addr": "file+0x4005", "lsb": 0, "raw": ""}]},
       "expected": {"change": "dax_fault_hwpoison", "before": "SIGBUS BUS_ADRERR", "after": "SIGBUS BUS_MCEERR_AR lsb=12", "side": "before", "met": true}}]},
    {"scenario": "dax/ext4/shared-read", "kernel": "6.12", "accel": "tcg", "verdict": "expected", "started": "2026-03-01T09:30:10Z", "ms": 212,
     "witnesses": {"log": "MCE: Killing victim due to hardware memory corruption fault at N"}, "kernel_log": ["[    3.2] MCE: Killing"], "steps": [
      {"actor": "agent", "action": "mount pmem(nfit,ext4) -o dax", "outcome": {}},
      {"actor": "victim", "action": "load file+0x4005 width 1", "outcome": {"signals": [{"signo": 7, "name": "SIGBUS", "code": 4, "code_name": "BUS_MCEERR_AR", "addr": "file+0x4005", "lsb": 12, "raw": ""}]},
       "expected": {"change": "dax_fault_hwpoison", "before": "SIGBUS BUS_ADRERR", "after": "SIGBUS BUS_MCEERR_AR lsb=12", "has": true, "side": "after", "met": true}}]},
    {"scenario": "dax/xfs/private-cow", "kernel": "6.12", "accel": "tcg", "verdict": "unexpected", "message": "6.12 has dax_fault_hwpoison", "started": "2026-03-01T09:30:11Z", "ms": 200, "steps": [
      {"actor": "victim", "action": "store file+0x4005 width 1", "outcome": {"signals": [{"signo": 7, "name": "SIGBUS", "code": 2, "code_name": "BUS_ADRERR", "addr": "file+0x4005", "lsb": 0, "raw": ""}]},
       "expected": {"change": "dax_fault_hwpoison", "before": "SIGBUS BUS_ADRERR", "after": "SIGBUS BUS_MCEERR_AR lsb=12", "has": true, "side": "before", "met": false}}]},
    {"scenario": "dax/ext4/pread", "kernel": "6.1", "accel": "tcg", "verdict": "expected", "started": "2026-03-01T09:30:12Z", "ms": 200, "steps": [
      {"actor": "victim", "action": "pread64", "outcome": {"ret": -1, "errno": "EIO"}, "expected": {"after": "EIO", "side": "both", "met": true}}]},
    {"scenario": "dax/ext4/pread", "kernel": "6.12", "accel": "tcg", "verdict": "unexpected", "message": "not EIO", "started": "2026-03-01T09:30:12Z", "ms": 200, "steps": [
      {"actor": "victim", "action": "pread64", "outcome": {"ret": -1, "errno": "EFAULT"}, "expected": {"after": "EIO", "side": "neither", "met": false}}]},
    {"scenario": "dax/xfs/private-cow", "kernel": "6.1", "accel": "tcg", "verdict": "rig", "message": "no answer", "started": "2026-03-01T09:30:11Z", "ms": 200}
  ],
  "differences": [{"scenario": "dax/ext4/shared-read", "kernel_a": "6.1", "kernel_b": "6.12", "step": -1, "field": "witness:log", "a": "x", "b": "y"}],
  "repeats": [{"scenario": "dax/ext4/pread", "kernel_a": "6.1", "kernel_b": "6.1", "attempt_a": 1, "attempt_b": 2, "step": 0, "field": "errno", "a": "x", "b": "y"}],
  "findings": [{"kind": "incomplete_backport", "kernels": ["6.12"], "change": "dax_fault_hwpoison", "message": "as the judge before worded it"}],
  "summary": {"expected": 3, "unexpected": 2, "not_doable": 0, "rig": 1, "explained": 0, "unexplained": 1, "exit_code": 1}
}`

func load(t *testing.T, doc string) (results.Run, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, results.RunFile), []byte(doc), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := results.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f.LoadRun(judge.Run)
}

// The observations of an old run are judged like new ones.
func TestUpgrade(t *testing.T) {
	r, err := load(t, oldRun)
	if err != nil {
		t.Fatal(err)
	}
	if r.Schema != results.Schema || len(r.Cells) != 6 || r.Host.MemoryBytes != 8<<30 || r.Kernels[1].BootMillis != 2840.5 || r.Cells[0].Millis != 212.5 || r.Cells[1].KernelLog == nil || !r.Scenarios[0].Lead {
		t.Errorf("got %+v, want the schema %s, and the values of the old record", r, results.Schema)
	}
	// Declared changes become claims; probed ones do not.
	if diff := cmp.Diff([]map[string]bool{nil, {"dax_fault_hwpoison": true, "dax_folios": false}}, []map[string]bool{r.Kernels[0].Claims, r.Kernels[1].Claims}); diff != "" {
		t.Errorf("claims mismatch (-want +got):\n%s", diff)
	}
	var states, differences, findings []string
	for _, k := range r.Kernels {
		for _, s := range k.Changes {
			states = append(states, k.Name+" "+s.String())
		}
	}
	for _, d := range r.Differences {
		differences = append(differences, d.Scenario+" "+d.Field+" "+d.ExplainedBy)
	}
	for _, f := range r.Findings {
		findings = append(findings, string(f.Kind)+": "+f.Message)
	}
	for _, got := range []struct{ want, is []string }{
		{[]string{
			"6.1 does not have dax_fault_hwpoison (absent in 1 scenario)",
			"6.12 shows dax_fault_hwpoison in dax/ext4/shared-read, but not in dax/xfs/private-cow", "6.12 does not show whether it has dax_folios",
		}, states},
		{[]string{
			"dax/ext4/pread errno ", "dax/ext4/shared-read signals[0].code dax_fault_hwpoison", "dax/ext4/shared-read signals[0].lsb dax_fault_hwpoison",
			"dax/ext4/shared-read witness:log dax_fault_hwpoison",
		}, differences},
		{[]string{
			"incomplete_change: 6.12 shows dax_fault_hwpoison in dax/ext4/shared-read, but not in dax/xfs/private-cow",
			"unexpected_observation: dax/ext4/pread on 6.12: step 1 (victim: pread64) expected EIO, saw EFAULT",
		}, findings},
	} {
		if diff := cmp.Diff(got.want, got.is); diff != "" {
			t.Errorf("states, differences or findings mismatch (-want +got):\n%s", diff)
		}
	}
	if s := r.Summary; s.ExitCode != errkind.ExitUnexpected || s.Expected != 4 || s.Unexpected != 1 || s.Explained != 3 || s.Unexplained != 1 {
		t.Errorf("got %+v, want 4 expected, 1 unexpected, 3 explained, 1 unexplained, exit code 1", s)
	}
	// The upgraded run is in the current schema, and stays unchanged.
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Validate(b); err != nil {
		t.Error(err)
	}
	if _, upgraded, err := results.Upgrade(b); err != nil || upgraded {
		t.Errorf("got error %v, or a second upgrade", err)
	}
}

// A cell that failed for another reason than its side stays unexpected.
func TestUpgradeKeepsWhatNoKernelShows(t *testing.T) {
	for name, test := range map[string]struct {
		from, to string
		want     observe.Verdict
	}{
		"for its side": {"", "", observe.Expected},
		"beside something": {`"steps": [
      {"actor": "victim", "action": "store file+0x4005 width 1", "outcome": {"signals"`, `"steps": [{"actor": "x", "action": "y", "outcome": {}, "expected": {"after": "EIO", "side": "neither", "met": false}},
      {"actor": "victim", "action": "store file+0x4005 width 1", "outcome": {"signals"`, observe.Unexpected},
		"by a failed spec": {`"has": true, "side": "before", "met": false`, `"side": "before", "met": true`, observe.Unexpected},
	} {
		doc := strings.Replace(oldRun, test.from, test.to, 1)
		if test.from != "" && doc == oldRun {
			t.Fatalf("%s: nothing to replace", name)
		}
		r, err := load(t, doc)
		if err != nil {
			t.Fatal(err)
		}
		if c := r.Cells[2]; c.Verdict != test.want || (c.Message == "") != (test.want == observe.Expected) || !c.Steps[len(c.Steps)-1].Expected.Met {
			t.Errorf("%s: got %s, %q; want %s, with a message unless as expected, and met", name, c.Verdict, c.Message, test.want)
		}
	}
}

// In a record of any form, a machine check that was not verified to hit the access is no
// evidence about the kernel; one that was verified is.
func TestWithdraw(t *testing.T) {
	check := `"steps": [{"actor": "host", "action": "machine check SRAR at file+0x4005, as victim accesses it", "outcome": {}}, {"actor": "victim", "action": "pread64", "outcome": {"ret": -1, "errno": "EFAULT"}`
	doc := strings.Replace(oldRun, `"steps": [
      {"actor": "victim", "action": "pread64", "outcome": {"ret": -1, "errno": "EFAULT"}`, check, 1)
	if doc == oldRun {
		t.Fatal("nothing to replace")
	}
	exact := strings.Replace(doc, `"accel": "auto",`, `"accel": "auto", "suites": {"syscalls": "sha256:1"},`, 1)
	accused := func(r results.Run) bool {
		return slices.ContainsFunc(r.Findings, func(f conclusion.Finding) bool { return strings.Contains(f.Message, "dax/ext4/pread") })
	}
	for name, test := range map[string]struct {
		doc   string
		exact bool
	}{
		"old": {doc, false}, "old, exact": {exact, true},
		"of today's schema": {today(t, doc, nil), false}, "of today's schema, exact": {today(t, doc, map[string]string{"syscalls": "sha256:1"}), true},
	} {
		r, err := load(t, test.doc)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Cells[4]
		if withdrawn := c.Verdict == observe.Infra && c.Message == results.Inexact; withdrawn == test.exact || accused(r) != test.exact {
			t.Errorf("%s: got %s, %q, %v; want it withdrawn %t, accused %t", name, c.Verdict, c.Message, r.Findings, !test.exact, test.exact)
		}
		if r.Summary.Infra != 1 && test.exact || r.Summary.Infra != 2 && !test.exact {
			t.Errorf("%s: got %+v, want 1 infrastructure failure, or 2 if it is inexact", name, r.Summary)
		}
	}
}

// today returns a record in the current schema, with the findings of the Faultline that
// wrote it.
func today(t *testing.T, doc string, suites map[string]string) string {
	t.Helper()
	r, _, err := results.Upgrade([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	judge.Run(&r)
	r.Suites = suites
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Only a run in the previous schema is upgraded, and invalid parts of it stay invalid.
func TestUpgradeRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"another schema": strings.Replace(oldRun, "faultline.run/1", "faultline.run/0", 1),
		"a later schema": strings.Replace(oldRun, "faultline.run/1", "faultline.run/4", 1),
		"no schema":      `{}`,
		"a list":         `[]`,
		"cut":            oldRun[:len(oldRun)/2],
		"kernels":        strings.Replace(oldRun, `"kernels": [`, `"kernels": [7, `, 1),
		"no cells":       strings.Replace(oldRun, `"cells": [`, `"cells": 7, "x": [`, 1),
		"a side":         strings.Replace(oldRun, `"side": "both"`, `"side": "top"`, 1),
	} {
		var se *results.SchemaError
		if _, err := load(t, doc); !errors.As(err, &se) {
			t.Errorf("%s: got %v, want a *SchemaError", name, err)
		}
	}
}

// A record of schema 2 has other words for skipped cells and infrastructure failures. Its
// conclusions stay.
func TestLoadSchema2(t *testing.T) {
	r := run("r1", cell("a/b", "old", ""))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.NewReplacer(`"faultline.run/3"`, `"faultline.run/2"`, `"verdict":"infra"`, `"verdict":"rig"`,
		`"skipped":0,"infra":1`, `"not_doable":0,"rig":1`).Replace(string(b))
	if !strings.Contains(old, `"not_doable":0,"rig":1`) || !strings.Contains(old, `"verdict":"rig"`) {
		t.Fatalf("no record of schema 2: %s", old)
	}
	got, err := results.Parse([]byte(old), judge.Run)
	if err != nil {
		t.Fatal(err)
	}
	if got.Schema != results.Schema || got.Cells[0].Verdict != observe.Infra || got.Summary != r.Summary || len(got.Findings) != len(r.Findings) {
		t.Errorf("got %s, %s, %+v, findings %v; want %s, %s, %+v, findings %v",
			got.Schema, got.Cells[0].Verdict, got.Summary, got.Findings, results.Schema, observe.Infra, r.Summary, r.Findings)
	}
	cell := strings.Replace(`{"scenario":"a/b","kernel":"k","accel":"tcg","verdict":"WORD","started":"2026-03-01T09:30:00Z","ms":0}`, "WORD", "not_doable", 1)
	if c, err := results.ReadCell([]byte(cell)); err != nil || c.Verdict != observe.Skipped {
		t.Errorf("a cell's file: got %q, error %v; want %s", c.Verdict, err, observe.Skipped)
	}
}
