package yamlfile

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/faultline/faultline/internal/limitread"
)

// The parser's time and memory grow with the square of a file's depth, and it never
// finished a file of 200,000 brackets. So size and depth are limited before parsing.
const (
	// MaxBytes is the maximum size of a file: enough for a thousand kernels.
	MaxBytes = 64 << 10
	// maxDepth is the maximum nesting depth of values. Real files have at most seven
	// levels.
	maxDepth = 16
)

// ReadFile reads a file of at most MaxBytes. If the file is larger, the error is a
// *limitread.Error, else one of package os.
func ReadFile(name string) ([]byte, error) { return limitread.ReadFile(name, MaxBytes) }

// depth rejects values that are nested too deeply, by the tokens alone. Outside of
// brackets it counts dashes, question marks and keys that are each indented further than
// the one before; inside it counts brackets and the tokens in front of a value.
func (f File) depth(data []byte, shape string) error {
	if len(data) > MaxBytes {
		return f.Refuse(nil, fmt.Sprintf("it has %d bytes, more than the maximum of %d", len(data), MaxBytes), "split it")
	}
	var columns []int  // of the open collections outside of brackets
	var brackets []int // per open bracket: 1, plus the tokens in front of its current value
	// The parser reports what the lexer can't read.
	for _, t := range lexer.Tokenize(string(data)) {
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
