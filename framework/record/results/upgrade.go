package results

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// schema1 is the previous format. Its observations are the same as those of Schema, its
// conclusions are not.
const schema1 = "faultline.run/1"

// upgrade converts a document of schema1 to Schema: it keeps the observations and removes
// the conclusions. Other documents are left unchanged.
func (d *document) upgrade() (upgraded bool, err error) {
	var schema string
	if err := json.Unmarshal(d.parts["schema"], &schema); err != nil || schema != schema1 {
		return false, nil // validation reports a wrong schema
	}
	d.older = true
	now := map[string]any{"schema": Schema, "summary": Summary{}, "differences": []any{}, "findings": []any{}}
	for key, v := range now {
		if d.parts[key], err = json.Marshal(v); err != nil {
			return false, err
		}
	}
	delete(d.parts, "repeats")
	return true, nil
}

// older converts an element of schema1 to Schema.
func older(definition string, element []byte) []byte {
	var object map[string]any
	upgrade := map[string]func(map[string]any){"kernel": olderKernel, "cell": olderCell}[definition]
	if upgrade == nil || values(element) > mostValues || json.Unmarshal(element, &object) != nil || object == nil {
		return element
	}
	upgrade(object)
	now, err := json.Marshal(object)
	if err != nil {
		return element
	}
	return now
}

func olderKernel(kernel map[string]any) {
	claims := map[string]any{}
	each(kernel["changes"], func(state map[string]any) {
		if id, ok := state["id"].(string); ok && state["by"] == "declared" {
			claims[id] = state["has"]
		}
	})
	delete(kernel, "changes")
	if len(claims) > 0 {
		kernel["claims"] = claims
	}
}

func olderCell(cell map[string]any) {
	otherSide, neither := false, false
	each(cell["steps"], func(step map[string]any) {
		if e, ok := step["expected"].(map[string]any); ok {
			delete(e, "has")
			neither = neither || e["side"] == "neither"
			otherSide = otherSide || e["side"] != "neither" && e["met"] == false
			e["met"] = e["side"] != "neither"
		}
	})
	// In Schema, an outcome is expected if it is expected of some kernel.
	if cell["verdict"] == string(observe.Unexpected) && otherSide && !neither {
		cell["verdict"] = observe.Expected
		delete(cell, "message")
	}
}

// inexact is the message of a cell whose verdict is withdrawn.
const inexact = "recorded by an older Faultline, which did not verify that the machine check hit the access; " +
	"observe it again"

// withdraw withdraws the verdict of cells of an old record in which a machine check was to
// hit an access. Which access it hit depended on QEMU's release and was not verified, so
// that the result is no evidence about the kernel. It is verified in all records that have
// the digests of suites.
func (r *Run) withdraw() (some bool) {
	if r.Suites != nil {
		return false
	}
	for i := range r.Cells {
		if c := &r.Cells[i]; awaited(*c) && (c.Verdict == observe.Expected || c.Verdict == observe.Unexpected) {
			c.Verdict, c.Message, some = observe.Infra, inexact, true
		}
	}
	return some
}

// awaited reports whether a machine check was raised at an access in a cell, as recorded
// by Guest.Consume.
func awaited(c observe.Cell) bool {
	return slices.ContainsFunc(c.Steps, func(s observe.Step) bool {
		return s.Actor == "host" && strings.HasPrefix(s.Action, "machine check ") && strings.HasSuffix(s.Action, " accesses it")
	})
}

// each calls do for the objects in a list.
func each(list any, do func(map[string]any)) {
	all, _ := list.([]any)
	for _, v := range all {
		if o, ok := v.(map[string]any); ok {
			do(o)
		}
	}
}
