package results

import (
	"encoding/json"

	"github.com/faultline/faultline/framework/observe"
)

// schema1 is the format before changes were concluded from cells. Its
// observations are the same; what it concludes from them is not.
const schema1 = "faultline.run/1"

// upgrade makes a document of schema1 one of Schema: with its observations, and
// without its conclusions. Any other is left as it is, and not upgraded.
func upgrade(run []byte) (now []byte, upgraded bool, err error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(run, &head); err != nil || head.Schema != schema1 {
		return run, false, nil // Validate says what is wrong with it
	}
	var doc map[string]any
	if err := json.Unmarshal(run, &doc); err != nil {
		return run, false, nil
	}
	doc["schema"] = Schema
	delete(doc, "repeats")
	doc["differences"], doc["findings"] = []any{}, []any{}
	doc["summary"] = Summary{}
	each(doc["kernels"], func(kernel map[string]any) {
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
	})
	each(doc["cells"], func(cell map[string]any) {
		otherSide, neither := false, false
		each(cell["steps"], func(step map[string]any) {
			if e, ok := step["expected"].(map[string]any); ok {
				delete(e, "has")
				neither = neither || e["side"] == "neither"
				otherSide = otherSide || e["side"] != "neither" && e["met"] == false
				e["met"] = e["side"] != "neither"
			}
		})
		// What was not expected of this kernel is, of some kernel.
		if cell["verdict"] == string(observe.Unexpected) && otherSide && !neither {
			cell["verdict"] = observe.Expected
			delete(cell, "message")
		}
	})
	now, err = json.Marshal(doc)
	return now, true, err
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
