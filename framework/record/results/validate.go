package results

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/faultline/faultline/internal/errkind"
)

//go:embed run.schema.json
var runSchema []byte

// JSONSchema returns the schema of run.json (JSON Schema, draft 2020-12).
func JSONSchema() []byte { return bytes.Clone(runSchema) }

// SchemaError is the error of a document that is not a run.
type SchemaError struct {
	// Problems describe, one per entry, where in the document something is wrong and what.
	Problems []string
}

func (e *SchemaError) Error() string {
	const limit = 5
	shown := e.Problems
	more := ""
	if len(shown) > limit {
		shown, more = shown[:limit], fmt.Sprintf("; and %d more", len(e.Problems)-limit)
	}
	return fmt.Sprintf("not a run of schema %s: %s%s", Schema, strings.Join(shown, "; "), more)
}

// ErrKind implements errkind.Kinder.
func (e *SchemaError) ErrKind() errkind.Kind { return errkind.Request }

// Validate checks a run.json against the schema. The error for an invalid document is a
// *SchemaError with the problems of the first invalid part.
func Validate(run []byte) error {
	d, err := newDocument(run)
	if err == nil {
		_, err = d.read()
	}
	return err
}

// runSchemas returns the compiled schema, under the empty name, and its definitions of
// list elements.
var runSchemas = sync.OnceValues(compileSchemas)

func compileSchemas() (map[string]*jsonschema.Schema, error) {
	const file = "run.schema.json"
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(runSchema))
	if err != nil {
		return nil, fmt.Errorf("read the run schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(file, doc); err != nil {
		return nil, fmt.Errorf("read the run schema: %w", err)
	}
	out := map[string]*jsonschema.Schema{}
	if out[""], err = c.Compile(file); err != nil {
		return nil, fmt.Errorf("compile the run schema: %w", err)
	}
	for _, name := range definitions {
		if out[name], err = c.Compile(file + "#/$defs/" + name); err != nil {
			return nil, fmt.Errorf("compile the run schema: %w", err)
		}
	}
	return out, nil
}

// problems returns the leaves of a validation error, which name what is wrong. The nodes
// above them only describe the path of the validator.
func problems(e *jsonschema.ValidationError, at string) []string {
	if len(e.Causes) == 0 {
		at += "/" + strings.Join(e.InstanceLocation, "/")
		return []string{at + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
	}
	var out []string
	for _, c := range e.Causes {
		out = append(out, problems(c, at)...)
	}
	return out
}
