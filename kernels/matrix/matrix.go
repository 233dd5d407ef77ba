// Package matrix reads the files that list the kernels of a run. It looks at the
// form of specs, and fetches nothing until an entry is resolved.
package matrix

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/faultline/faultline/internal/near"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/source"
)

// Matrix is the kernels of a run, in the order of the table's columns.
type Matrix struct {
	// File is where it was read from, for messages.
	File string `json:"file"`
	// Kernels are at least one.
	Kernels []Entry `json:"kernels"`

	declared []declaration
}

// declaration is a change that an entry has in its "has", and where it stands.
type declaration struct{ change, pos string }

// Entry is a kernel of a matrix.
type Entry struct {
	// Name overrides Kernel.Name; may be "".
	Name string `json:"name,omitempty"`
	// Spec is what Resolve is asked for, with the settings of the entry's other keys.
	Spec string `json:"spec"`
	// Has declares changes present or absent; nil declares nothing.
	Has map[string]bool `json:"has,omitempty"`
	// Pos is where the entry stands: file:line:column.
	Pos string `json:"-"`
}

// Resolve is Resolve for the entry's spec, with what the entry says besides.
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

// CheckChanges refuses a declaration (has:) of a change that is not among the
// known ones, which this package does not know. The error is a *kernels.SpecError that
// names the line and the column.
func (m *Matrix) CheckChanges(known []string) error {
	for _, d := range m.declared {
		if slices.Contains(known, d.change) {
			continue
		}
		e := &kernels.SpecError{What: d.pos, Problem: fmt.Sprintf("no change is called %q", d.change), WayOut: "known are " + strings.Join(known, ", ")}
		if n := near.Names(d.change, known); len(n) > 0 {
			e.WayOut = "did you mean " + near.Quoted(n, "or") + "? " + e.WayOut
		}
		return e
	}
	return nil
}

//go:embed default.yaml
var defaultYAML []byte

//go:embed wide.yaml
var wideYAML []byte

// Default is default.yaml: a kernel without and one with the change
// the project exists for, both in the suites of a Debian 12 machine.
func Default() (*Matrix, error) { return Parse("default.yaml", defaultYAML) }

// Wide is wide.yaml: the default one between Debian's oldest and
// newest kernel.
func Wide() (*Matrix, error) { return Parse("wide.yaml", wideYAML) }

// Load reads a matrix file. What is wrong with it is a *kernels.SpecError that
// names the file, the line and the column.
func Load(path string) (*Matrix, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &kernels.SpecError{What: "matrix " + path, Problem: "read it", Err: errors.Unwrap(err), WayOut: "give a file that can be read"}
	}
	return Parse(path, data)
}

// Parse is Load for a file's content; file is for messages.
func Parse(file string, data []byte) (*Matrix, error) {
	p := matrixParser{file: file}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) {
			return nil, p.error(at.GetToken(), at.GetMessage(), "write it as YAML")
		}
		return nil, &kernels.SpecError{What: file, Problem: "read the matrix", Err: err, WayOut: "write it as YAML"}
	}
	var docs []ast.Node
	for _, d := range tree.Docs {
		if d != nil && d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	const shape = "write \"kernels:\" and below it a list of entries such as \"- spec: apt:bookworm\""
	if len(docs) == 0 {
		return nil, &kernels.SpecError{What: file + ":1:1", Problem: "the matrix is empty", WayOut: shape}
	}
	if len(docs) > 1 {
		return nil, p.error(begin(docs[1]), "a second document in the file", "leave one")
	}
	m := &Matrix{File: file}
	var list *ast.MappingValueNode
	err = p.mapping(docs[0], "the matrix", shape, []string{"kernels"}, func(key string, v *ast.MappingValueNode) error {
		list = v
		return nil
	})
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, p.error(begin(docs[0]), `key "kernels" is missing`, shape)
	}
	seq, ok := list.Value.(*ast.SequenceNode)
	if !ok {
		return nil, p.error(begin(list.Value), fmt.Sprintf("kernels is %s, not a list", kind(list.Value)), shape)
	}
	if len(seq.Values) == 0 {
		return nil, p.error(list.Key.GetToken(), "kernels is an empty list", shape)
	}
	names := map[string]string{}
	for _, n := range seq.Values {
		e, nameAt, err := p.entry(n)
		if err != nil {
			return nil, err
		}
		label := e.Name
		if label == "" {
			label = e.Spec
		}
		if first, dup := names[label]; dup {
			return nil, p.error(nameAt, fmt.Sprintf("%q is already the name of the entry at %s", label, first),
				"give each entry a name of its own (name: ...)")
		}
		names[label] = e.Pos
		m.Kernels = append(m.Kernels, e)
	}
	m.declared = p.declared
	return m, nil
}

type matrixParser struct {
	file     string
	declared []declaration
}

func (p matrixParser) pos(t *token.Token) string {
	if t == nil || t.Position == nil {
		return p.file
	}
	return fmt.Sprintf("%s:%d:%d", p.file, t.Position.Line, t.Position.Column)
}

func (p matrixParser) error(t *token.Token, problem, wayOut string) error {
	return &kernels.SpecError{What: p.pos(t), Problem: problem, WayOut: wayOut}
}

// mapping calls f for each pair of a mapping, whose keys must be among the known
// ones (any key where known is nil).
func (p matrixParser) mapping(n ast.Node, what, shape string, known []string, f func(string, *ast.MappingValueNode) error) error {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return p.error(begin(n), fmt.Sprintf("%s is %s, not a mapping of keys to values", what, kind(n)), shape)
	}
	seen := map[string]bool{}
	for _, v := range values {
		key, ok := text(v.Key)
		if !ok {
			return p.error(v.Key.GetToken(), fmt.Sprintf("a key of %s is not plain text", what), shape)
		}
		if seen[key] {
			return p.error(v.Key.GetToken(), fmt.Sprintf("key %q is there twice", key), "leave one")
		}
		seen[key] = true
		if known != nil && !slices.Contains(known, key) {
			e := &kernels.SpecError{What: p.pos(v.Key.GetToken()), Problem: fmt.Sprintf("unknown key %q in %s", key, what),
				WayOut: "it takes " + near.Quoted(known, "and")}
			if n := near.Names(key, known); len(n) > 0 {
				e.WayOut = "did you mean " + near.Quoted(n, "or") + "? " + e.WayOut
			}
			return e
		}
		if err := f(key, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *matrixParser) entry(n ast.Node) (e Entry, nameAt *token.Token, err error) {
	const shape = "write an entry as \"- spec: apt:bookworm\""
	e.Pos = p.pos(begin(n))
	var specAt *token.Token
	settings := source.All().Settings(specOf(n))
	var set [][2]string
	err = p.mapping(n, "the entry", shape, append([]string{"name", "spec", "has"}, settings...), func(key string, v *ast.MappingValueNode) error {
		if key == "has" {
			e.Has = map[string]bool{}
			return p.mapping(v.Value, "has", "write it as \"has: {dax_fault_hwpoison: true}\"", nil, func(change string, v *ast.MappingValueNode) error {
				b, ok := v.Value.(*ast.BoolNode)
				if !ok {
					return p.error(begin(v.Value), fmt.Sprintf("%s is %s, not true or false", change, kind(v.Value)), "write true or false")
				}
				e.Has[change] = b.Value
				p.declared = append(p.declared, declaration{change, p.pos(begin(v))})
				return nil
			})
		}
		s, ok := text(v.Value)
		if !ok || s == "" {
			return p.error(begin(v.Value), fmt.Sprintf("%s is %s, not text", key, kind(v.Value)), "put quotes around it if it is meant as text")
		}
		switch key {
		case "name":
			e.Name, nameAt = s, begin(v.Value)
		case "spec":
			e.Spec, specAt = s, begin(v.Value)
		default:
			set = append(set, [2]string{key, s})
		}
		return nil
	})
	if err != nil {
		return e, nil, err
	}
	if e.Spec == "" {
		return e, nil, p.error(begin(n), `the entry has no "spec"`, shape)
	}
	for _, nv := range set {
		e.Spec = source.Set(e.Spec, nv[0], nv[1])
	}
	if err := source.All().Check(e.Spec); err != nil {
		var spec *kernels.SpecError
		if errors.As(err, &spec) {
			spec.What = p.pos(specAt) + ": " + spec.What
		}
		return e, nil, err
	}
	if nameAt == nil {
		nameAt = specAt
	}
	return e, nameAt, nil
}

// specOf is the spec of an entry that is not looked at yet; "" where it has none.
func specOf(n ast.Node) (spec string) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	}
	for _, v := range values {
		if key, _ := text(v.Key); key == "spec" {
			spec, _ = text(v.Value)
		}
	}
	return spec
}

// text is the value of a scalar that is text.
func text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	}
	return "", false
}

// begin is where a node begins: for a mapping that is its first key, where the
// parser says its first colon.
func begin(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	if n == nil {
		return nil
	}
	return n.GetToken()
}

// kind names a node's type as a person would.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "empty"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.AliasNode, *ast.AnchorNode, *ast.MergeKeyNode:
		return "an anchor or alias, which is not taken here"
	}
	return "something else"
}
