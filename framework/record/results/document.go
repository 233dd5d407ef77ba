package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
)

// Bounds of a record, which may come from an untrusted source. Each is about ten times
// that of a large run. The cost of reading a record grows with them.
const (
	// mostKernels and mostScenarios bound the plan and the cells together.
	mostKernels   = 1_000
	mostScenarios = 10_000
	// mostCells bounds kernels × scenarios × attempts.
	mostCells = 200_000
	// mostValues bounds the JSON values of a cell, or of another part of a record.
	mostValues = 500_000
)

// document is a record that is read part by part. Its lists grow with the run; each
// element is checked and decoded before the next, so that the values and errors of all of
// them are never in memory at the same time.
type document struct {
	parts map[string]json.RawMessage // by key of the record
	older string                     // the record's schema, if it is an older one

}

// newDocument splits a record into its parts.
func newDocument(b []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(b, &d.parts); err != nil {
		why := "not JSON: " + err.Error()
		if errors.As(err, new(*json.UnmarshalTypeError)) {
			why = "not a JSON object"
		}
		return nil, &SchemaError{Problems: []string{why}}
	}
	var schema string
	if json.Unmarshal(d.parts["schema"], &schema) == nil && !slices.Contains(readable, schema) {
		return nil, &SchemaError{Problems: []string{
			fmt.Sprintf(
				"/schema is %q, and this Faultline reads %s; use the Faultline that wrote it",
				schema,
				strings.Join(readable, ", "),
			),
		}}
	}
	return d, nil
}

// readable are the schemas of records that can be read.
var readable = []string{"faultline.run/1", "faultline.run/2", Schema}

// read decodes the record. If it does not match the schema, the error is a *SchemaError.
func (d *document) read() (Run, error) {
	var r Run
	rest := map[string]json.RawMessage{}
	for key, part := range d.parts {
		if rest[key] = part; definitions[key] != "" && part[0] == '[' {
			rest[key] = json.RawMessage("[]")
		}
	}
	b, err := json.Marshal(rest)
	if err != nil {
		return Run{}, err
	}
	if err := d.check("", "", b); err != nil {
		return Run{}, err
	}
	for _, list := range []func() error{
		func() error { return elements(d, "changes", (*[]change.Change)(&r.Changes)) },
		func() error { return elements(d, "kernels", &r.Kernels) },
		func() error { return elements(d, "scenarios", &r.Scenarios) },
		func() error { return elements(d, "cells", &r.Cells) },
		func() error { return elements(d, "differences", &r.Differences) },
		func() error { return elements(d, "repeats", &r.Repeats) },
		func() error { return elements(d, "uncompared", &r.Uncompared) },
		func() error { return elements(d, "findings", &r.Findings) },
	} {
		if err := list(); err != nil {
			return Run{}, err
		}
	}
	for key := range definitions {
		delete(rest, key)
	}
	if b, err = json.Marshal(rest); err != nil {
		return Run{}, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Run{}, &SchemaError{Problems: []string{err.Error()}}
	}
	return r, bounds(r)
}

// definitions maps the lists of a record to the schema definitions of their elements.
var definitions = map[string]string{
	"changes": "change", "kernels": "kernel", "scenarios": "scenario", "cells": "cell",
	"differences": "difference", "repeats": "difference", "uncompared": "uncompared", "findings": "finding",
}

// elements decodes the elements of a list of the record.
func elements[T any](d *document, key string, to *[]T) error {
	part := d.parts[key]
	if len(part) == 0 || part[0] != '[' {
		return nil // absent, or already reported as a problem
	}
	*to = []T{}
	dec := json.NewDecoder(bytes.NewReader(part))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for i := 0; dec.More(); i++ {
		var b json.RawMessage
		if err := dec.Decode(&b); err != nil {
			return err
		}
		at := fmt.Sprintf("/%s/%d", key, i)
		if i == mostCells {
			problem := fmt.Sprintf("%s: exceeds the limit of %d", at, mostCells)
			return &SchemaError{Problems: []string{problem}}
		}
		if d.older != "" {
			b = older(d.older, definitions[key], b)
		}
		if err := d.check(definitions[key], at, b); err != nil {
			return err
		}
		var v T
		if err := json.Unmarshal(b, &v); err != nil { // a number that is too large, for example
			return &SchemaError{Problems: []string{at + ": " + err.Error()}}
		}
		*to = append(*to, v)
	}
	return nil
}

// check validates a part of the record against a definition of the schema, or against the
// whole schema if that is empty. Reading ends at the first part with a problem.
func (d *document) check(definition, at string, b []byte) error {
	found, err := mismatches(definition, at, b)
	if err != nil {
		return err
	}
	if len(found) > 0 {
		return &SchemaError{Problems: found}
	}
	return nil
}

// mismatches returns where a value does not match a definition of the schema.
func mismatches(definition, at string, b []byte) ([]string, error) {
	if n := values(b); n > mostValues {
		problem := fmt.Sprintf("%s: %d values exceed the limit of %d", orRoot(at), n, mostValues)
		return []string{problem}, nil
	}
	schemas, err := runSchemas()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return []string{fmt.Sprintf("%s: not JSON: %v", orRoot(at), err)}, nil
	}
	err = schemas[definition].Validate(doc)
	if ve := (*jsonschema.ValidationError)(nil); errors.As(err, &ve) {
		return problems(ve, at), nil
	}
	return nil, err
}

func orRoot(at string) string {
	if at == "" {
		return "/"
	}
	return at
}

// values returns an upper bound of the number of JSON values.
func values(b []byte) int {
	n, text := 1, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case !text && (c == ',' || c == '{' || c == '['):
			n++
		}
	}
	return n
}

// bounds returns an error if the record exceeds the bounds above.
func bounds(r Run) error {
	kernels, scenarios, attempts := map[string]bool{}, map[string]bool{}, 1
	for _, k := range r.Kernels {
		kernels[k.Name] = true
	}
	for _, s := range r.Scenarios {
		scenarios[s.ID] = true
	}
	problem := ""
	if len(kernels) < len(r.Kernels) {
		problem = "/kernels: two kernels have the same name"
	}
	if len(scenarios) < len(r.Scenarios) {
		problem = "/scenarios: two scenarios have the same id"
	}
	for _, c := range r.Cells {
		kernels[c.Kernel], scenarios[c.Scenario], attempts = true, true, max(attempts, c.Attempt)
	}
	switch k, s := len(kernels), len(scenarios); {
	case problem != "":
	case k > mostKernels:
		problem = fmt.Sprintf("/kernels: %d exceed the limit of %d", k, mostKernels)
	case s > mostScenarios:
		problem = fmt.Sprintf("/scenarios: %d exceed the limit of %d", s, mostScenarios)
	case attempts > mostCells, len(r.Cells) > mostCells, k*s*attempts > mostCells:
		problem = fmt.Sprintf("/cells: %d kernels × %d scenarios × %d attempts exceed the limit of %d cells",
			k, s, attempts, mostCells)
	default:
		return nil
	}
	return &SchemaError{Problems: []string{problem}}
}

// readCell decodes the file of a cell.
func readCell(b []byte) (observe.Cell, error) {
	if bytes.Contains(b, []byte(`"not_doable"`)) || bytes.Contains(b, []byte(`"rig"`)) {
		b = older(schema2, "cell", b)
	}
	found, err := mismatches("cell", "", b)
	if err != nil {
		return observe.Cell{}, err
	}
	if len(found) > 0 {
		return observe.Cell{}, fmt.Errorf("not a cell: %s", found[0])
	}
	var c observe.Cell
	if err := json.Unmarshal(b, &c); err != nil {
		return observe.Cell{}, fmt.Errorf("not a cell: %w", err)
	}
	return c, nil
}
