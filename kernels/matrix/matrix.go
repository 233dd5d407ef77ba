// Package matrix reads the files that list the kernels of a run. It checks the form
// of specs, and fetches nothing until an entry is resolved.
package matrix

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/internal/sanitize"
	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/internal/yamlfile"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// Matrix lists the kernels of a run, in the order of the table's columns.
type Matrix struct {
	// File is the file it was read from, for messages.
	File string `json:"file"`
	// Kernels has at least one entry.
	Kernels []Entry `json:"kernels"`

	declared []declaration
}

// declaration is a change in the "has" of an entry, with its position.
type declaration struct{ change, pos string }

// Entry is a kernel of a matrix.
type Entry struct {
	// Name overrides Kernel.Name; may be empty.
	Name string `json:"name,omitempty"`
	// Spec is the spec to resolve, including the settings from the entry's other keys.
	Spec string `json:"spec"`
	// Has declares changes present or absent; nil declares nothing.
	Has map[string]bool `json:"has,omitempty"`
	// Build identifies the kernel of an entry that Each found by a pattern; empty if the
	// kernel may change while the spec stays.
	Build string `json:"-"`
	// Pos is the position of the entry: file:line:column.
	Pos string `json:"-"`
}

// Resolve resolves the entry's spec, and adds the entry's name and declarations.
func (e Entry) Resolve(ctx context.Context, opts kernels.Options) (*kernels.Kernel, error) {
	k, err := source.Resolve(ctx, e.Spec, opts)
	if err != nil {
		return nil, err
	}
	if e.Name != "" {
		k.Name = e.Name
	}
	k.Has = e.Has
	return k, nil
}

// CheckChanges returns an error for a declaration (has:) of a change that is not in
// known: this package does not know the changes. The error is a *kernels.SpecError with
// the line and the column.
func (m *Matrix) CheckChanges(known []string) error {
	for _, d := range m.declared {
		if slices.Contains(known, d.change) {
			continue
		}
		e := &kernels.SpecError{
			What:    d.pos,
			Problem: fmt.Sprintf("no change is called %q", d.change),
			Hint:    "known are " + strings.Join(known, ", "),
		}
		if n := suggest.Names(d.change, known); len(n) > 0 {
			e.Hint = "did you mean " + suggest.Quoted(n, "or") + "? " + e.Hint
		}
		return e
	}
	return nil
}

// Unresolved returns the kernel of an entry that can't be resolved, with only the entry's
// own data.
func (e Entry) Unresolved() *kernels.Kernel {
	k := &kernels.Kernel{Spec: e.Spec, Name: e.Name, Has: e.Has}
	if k.Name == "" {
		k.Name = sanitize.Line(e.Spec)
	}
	return k
}

//go:embed default.yaml
var defaultYAML []byte

//go:embed wide.yaml
var wideYAML []byte

//go:embed archive.yaml
var archiveYAML []byte

// Default returns default.yaml: a kernel without and one with the change that the
// project was written for, both in the suites of a Debian 12 machine.
func Default() (*Matrix, error) { return Parse("default.yaml", defaultYAML) }

// Wide returns wide.yaml: the default pair, with Debian's oldest and newest
// kernel.
func Wide() (*Matrix, error) { return Parse("wide.yaml", wideYAML) }

// Archive returns archive.yaml: patterns for all kernels of Debian's archive.
func Archive() (*Matrix, error) { return Parse("archive.yaml", archiveYAML) }

// Load reads a matrix file. An invalid file is a *kernels.SpecError with the file, the
// line and the column.
func Load(path string) (*Matrix, error) {
	data, err := yamlfile.ReadFile(path)
	var large *limitread.Error
	switch {
	case errors.As(err, &large):
		return nil, &kernels.SpecError{
			What:    "matrix",
			Problem: large.Error(),
			Hint:    "give a file that only lists kernels, or split it",
		}
	case err != nil:
		return nil, &kernels.SpecError{
			What:    "matrix " + path,
			Problem: "cannot read the file",
			Err:     errors.Unwrap(err),
			Hint:    "give a readable file, or a built-in matrix: default, wide or archive",
		}
	}
	return Parse(path, data)
}

// Parse is like Load, for a file's content; file is for messages.
func Parse(file string, data []byte) (*Matrix, error) {
	p := matrixParser{File: yamlfile.File{Name: file, Fail: func(at, problem, wayOut string, cause error) error {
		return &kernels.SpecError{What: at, Problem: problem, Hint: wayOut, Err: cause}
	}}}
	const shape = "write \"kernels:\" and below it a list of entries such as \"- spec: apt:bookworm\""
	body, err := p.Body(data, "the matrix", shape)
	if err != nil {
		return nil, err
	}
	m := &Matrix{File: file}
	var list []ast.Node
	err = p.Mapping(body, "the matrix", shape, []string{"kernels"}, func(_ string, v *ast.MappingValueNode) (err error) {
		list, err = p.List(v, shape)
		return err
	})
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, p.Refuse(yamlfile.Begin(body), `key "kernels" is missing`, shape)
	}
	names := map[string]string{}
	for _, n := range list {
		e, nameAt, err := p.entry(n)
		if err != nil {
			return nil, err
		}
		label := e.Name
		if label == "" {
			label = e.Spec
		}
		if first, dup := names[label]; dup {
			return nil, p.Refuse(nameAt, fmt.Sprintf("%q is already the name of the entry at %s", label, first),
				"give each entry a unique name (name: ...)")
		}
		names[label] = e.Pos
		m.Kernels = append(m.Kernels, e)
	}
	m.declared = p.declared
	return m, nil
}

type matrixParser struct {
	yamlfile.File
	declared []declaration
}

func (p *matrixParser) entry(n ast.Node) (e Entry, nameAt *token.Token, err error) {
	const shape = "write an entry as \"- spec: apt:bookworm\""
	e.Pos = p.Pos(yamlfile.Begin(n))
	var specAt *token.Token
	settings := source.All().Settings(specOf(n))
	var set [][2]string
	err = p.Mapping(
		n,
		"the entry",
		shape,
		append([]string{"name", "spec", "has"}, settings...),
		func(key string, v *ast.MappingValueNode) error {
			if key == "has" {
				e.Has = map[string]bool{}
				return p.Mapping(
					v.Value,
					"has",
					"write it as \"has: {dax_fault_hwpoison: true}\"",
					nil,
					func(change string, v *ast.MappingValueNode) error {
						b, ok := v.Value.(*ast.BoolNode)
						if !ok {
							return p.Refuse(
								yamlfile.Begin(v.Value),
								fmt.Sprintf("%s is %s, not true or false", change, yamlfile.Kind(v.Value)),
								"write true or false",
							)
						}
						e.Has[change] = b.Value
						p.declared = append(p.declared, declaration{change, p.Pos(yamlfile.Begin(v))})
						return nil
					},
				)
			}
			s, err := p.Text(v, false)
			if err != nil {
				return err
			}
			switch key {
			case "name":
				e.Name, nameAt = s, yamlfile.Begin(v.Value)
				if s != sanitize.Line(s) {
					return p.Refuse(
						nameAt,
						fmt.Sprintf("the name %q is not a line of plain text", s),
						"use a name without control characters, line breaks and commands of CI runners (::name::)",
					)
				}
			case "spec":
				e.Spec, specAt = s, yamlfile.Begin(v.Value)
			default:
				set = append(set, [2]string{key, s})
			}
			return nil
		},
	)
	if err != nil {
		return e, nil, err
	}
	if e.Spec == "" {
		return e, nil, p.Refuse(yamlfile.Begin(n), `the entry has no "spec"`, shape)
	}
	for _, nv := range set {
		e.Spec = source.Set(e.Spec, nv[0], nv[1])
	}
	if err := source.All().Check(e.Spec); err != nil {
		var spec *kernels.SpecError
		if errors.As(err, &spec) {
			spec.What = p.Pos(specAt) + ": " + spec.What
		}
		return e, nil, err
	}
	if nameAt == nil {
		nameAt = specAt
	}
	return e, nameAt, nil
}

// specOf returns the spec of an entry that is not parsed yet; "" if it has none.
func specOf(n ast.Node) (spec string) {
	for _, v := range yamlfile.Pairs(n) {
		if key, _ := yamlfile.Text(v.Key); key == "spec" {
			spec, _ = yamlfile.Text(v.Value)
		}
	}
	return spec
}
