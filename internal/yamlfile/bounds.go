package yamlfile

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/faultline/faultline/internal/limitread"
)

// The parser's time and memory grow with the square of a file's depth, and a file
// of 200,000 brackets was never done. So both are bounded before it.
const (
	// MaxBytes bounds a file: room for a thousand kernels.
	MaxBytes = 64 << 10
	// maxDepth bounds how deep values lie in each other. What people write here has
	// seven levels at most.
	maxDepth = 16
)

// ReadFile reads a file of at most MaxBytes. The error is a *limitread.Error where
// it has more, else one of package os.
func ReadFile(name string) ([]byte, error) { return limitread.ReadFile(name, MaxBytes) }

// depth refuses what lies too deep, by the tokens alone: outside of brackets by
// dashes, question marks and keys that each stand further to the right than the
// one before, inside by brackets and by what stands before a value.
func (f File) depth(data []byte, shape string) error {
	if len(data) > MaxBytes {
		return f.Refuse(nil, fmt.Sprintf("it has %d bytes, more than the %d that are read", len(data), MaxBytes), "divide it")
	}
	var columns []int                                // of the collections that are open outside of brackets
	var brackets []int                               // for each that is open, itself and what stands before its present value
	for _, t := range lexer.Tokenize(string(data)) { // what the lexer can't read, the parser says
		in := len(brackets) - 1
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets = append(brackets, 1)
		case token.SequenceEndType, token.MappingEndType:
			brackets = brackets[:max(0, in)]
		case token.CollectEntryType:
			if in >= 0 {
				brackets[in] = 1
			}
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.AnchorType, token.TagType:
			if in >= 0 {
				brackets[in]++
				break
			}
			at := t.Position.Column
			if t.Type == token.MappingValueType && t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
				at = t.Prev.Position.Column // the key's
			}
			columns = append(slices.DeleteFunc(columns, func(c int) bool { return c >= at }), at)
		}
		deep := len(columns)
		for _, n := range brackets {
			deep += n
		}
		if deep > maxDepth {
			return f.Refuse(t, fmt.Sprintf("more than %d levels of lists and mappings", maxDepth), shape)
		}
	}
	return nil
}
