// Package yamlfile reads hand-written YAML strictly: it rejects an unknown key, or a
// value of the wrong type, with its line and column. It does not know what the values
// mean.
package yamlfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/faultline/faultline/internal/suggest"
)

// File is a file to read.
type File struct {
	// Name is the file's name in messages.
	Name string
	// Fail returns the error about a problem. at is the file's name, with the line and
	// the column if they are known. cause may be nil.
	Fail func(at, problem, hint string, cause error) error
}

// Pos returns the position of a token: file:line:column.
func (f File) Pos(t *token.Token) string {
	if t == nil || t.Position == nil {
		return f.Name
	}
	return fmt.Sprintf("%s:%d:%d", f.Name, t.Position.Line, t.Position.Column)
}

// Refuse returns the error about a problem at a token.
func (f File) Refuse(t *token.Token, problem, hint string) error {
	return f.Fail(f.Pos(t), problem, hint, nil)
}

// Body returns the content of the file's only document. what names it ("the matrix"),
// and shape is the hint how to write it.
func (f File) Body(data []byte, what, shape string) (ast.Node, error) {
	if err := f.depth(data, shape); err != nil {
		return nil, err
	}
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) {
			return nil, f.Refuse(at.GetToken(), at.GetMessage(), "correct the YAML at this place or before it")
		}
		return nil, f.Fail(f.Name, "read "+what, "correct its YAML", err)
	}
	var docs []ast.Node
	for _, d := range tree.Docs {
		if d != nil && d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	switch len(docs) {
	case 0:
		return nil, f.Fail(f.Name+":1:1", what+" is empty", shape, nil)
	case 1:
		return docs[0], nil
	}
	return nil, f.Refuse(Begin(docs[1]), "a second document in the file", "leave one")
}

// Pairs returns the pairs of a mapping, in its order; nil if the node is not a mapping.
func Pairs(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// Mapping calls do for each pair of a mapping. All keys must be known; nil allows any
// key.
func (f File) Mapping(
	n ast.Node,
	what, shape string,
	known []string,
	do func(key string, v *ast.MappingValueNode) error,
) error {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
	default:
		return f.Refuse(Begin(n), fmt.Sprintf("%s is %s, not a mapping of keys to values", what, Kind(n)), shape)
	}
	seen := map[string]bool{}
	for _, v := range Pairs(n) {
		key, ok := Text(v.Key)
		if !ok {
			return f.Refuse(v.Key.GetToken(), fmt.Sprintf("a key of %s is not plain text", what), shape)
		}
		if seen[key] {
			return f.Refuse(v.Key.GetToken(), fmt.Sprintf("key %q is there twice", key), "leave one")
		}
		seen[key] = true
		if known != nil && !slices.Contains(known, key) {
			hint := "valid keys are " + suggest.Quoted(known, "and")
			if n := suggest.Names(key, known); len(n) > 0 {
				hint = "did you mean " + suggest.Quoted(n, "or") + "? " + hint
			}
			return f.Refuse(v.Key.GetToken(), fmt.Sprintf("unknown key %q in %s", key, what), hint)
		}
		if err := do(key, v); err != nil {
			return err
		}
	}
	return nil
}

// List returns the entries of a pair's value, which must be a list that is not empty.
func (f File) List(v *ast.MappingValueNode, shape string) ([]ast.Node, error) {
	key, _ := Text(v.Key)
	seq, ok := v.Value.(*ast.SequenceNode)
	switch {
	case !ok:
		return nil, f.Refuse(Begin(v.Value), fmt.Sprintf("%s is %s, not a list", key, Kind(v.Value)), shape)
	case len(seq.Values) == 0:
		return nil, f.Refuse(v.Key.GetToken(), key+" is an empty list", shape)
	}
	return seq.Values, nil
}

// Text returns the value of a pair, which must be text, and not empty unless mayBeEmpty
// is set.
func (f File) Text(v *ast.MappingValueNode, mayBeEmpty bool) (string, error) {
	key, _ := Text(v.Key)
	s, ok := Text(v.Value)
	switch {
	case !ok:
		return "", f.Refuse(
			Begin(v.Value),
			fmt.Sprintf("%s is %s, not text", key, Kind(v.Value)),
			"put quotes around it if it is meant as text",
		)
	case s == "" && !mayBeEmpty:
		return "", f.Refuse(Begin(v.Value), key+" is empty", "give a text")
	}
	return s, nil
}

// Text returns the value of a text scalar, and reports whether the node is one.
func Text(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	}
	return "", false
}

// Begin returns the first token of a node: for a mapping its first key, where the
// parser returns its first colon.
func Begin(n ast.Node) *token.Token {
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

// Kind returns the type of a node for messages.
func Kind(n ast.Node) string {
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
		return "an anchor or alias, which is not supported"
	}
	return "something else"
}
