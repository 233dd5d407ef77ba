package results

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
)

// Formats of earlier versions, which are still read.
const (
	// schema1 is older than the conclusion of changes from cells. Its observations are the
	// same; its conclusions are not.
	schema1 = "faultline.run/1"
	// schema2 calls cells "not_doable" and "rig" that are skipped, or infrastructure
	// failures.
	schema2 = "faultline.run/2"
)

// newWords maps the verdicts and summary keys of schema1 and schema2 to those of Schema.
var newWords = map[string]string{"not_doable": string(observe.Skipped), "rig": string(observe.Infra)}

// upgrade turns a document of an older schema into one of Schema. Other documents are not
// changed. It reports whether the document has to be judged again, because its
// conclusions were removed.
func (d *document) upgrade() (judge bool, err error) {
	var schema string
	if err := json.Unmarshal(d.parts["schema"], &schema); err != nil || schema != schema1 && schema != schema2 {
		return false, nil // validation reports the problem
	}
	d.older = schema
	now := map[string]any{"schema": Schema}
	if schema == schema1 {
		maps.Copy(now, map[string]any{"summary": Summary{}, "differences": []any{}, "findings": []any{}})
		delete(d.parts, "repeats")
	} else if summary := object(d.parts["summary"]); summary != nil {
		renameKeys(summary)
		now["summary"] = summary
	}
	for key, v := range now {
		if d.parts[key], err = json.Marshal(v); err != nil {
			return false, err
		}
	}
	return schema == schema1, nil
}

// object decodes a JSON object with its numbers as they are written; nil if it is not one.
func object(text []byte) (o map[string]any) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&o) != nil {
		return nil
	}
	return o
}

func renameKeys(o map[string]any) {
	for was, is := range newWords {
		if v, ok := o[was]; ok {
			delete(o, was)
			o[is] = v
		}
	}
}

// older turns an element of an older schema into one of Schema.
func older(schema, definition string, element []byte) []byte {
	if !slices.Contains([]string{"kernel", "scenario", "cell"}, definition) || values(element) > mostValues {
		return element
	}
	o := object(element)
	if o == nil {
		return element
	}
	switch definition {
	case "kernel":
		if schema == schema1 {
			olderKernel(o)
		}
	case "scenario":
		renameKeys(o)
	case "cell":
		if schema == schema1 {
			olderCell(o)
		}
		if verdict, ok := o["verdict"].(string); ok && newWords[verdict] != "" {
			o["verdict"] = newWords[verdict]
		}
	}
	now, err := json.Marshal(o)
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
		return s.Actor == "host" && strings.HasPrefix(s.Action, "machine check ") &&
			strings.HasSuffix(s.Action, " accesses it")
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
