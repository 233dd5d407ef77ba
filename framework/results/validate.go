package results

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/faultline/faultline/internal/fault"
)

//go:embed run.schema.json
var runSchema []byte

// JSONSchema is the schema of run.json (JSON Schema, draft 2020-12).
func JSONSchema() []byte { return bytes.Clone(runSchema) }

// SchemaError says where a document is not a run.
type SchemaError struct {
	// Problems are one a line: where in the document, and what is wrong there.
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

// Fault implements fault.Kinder.
func (e *SchemaError) Fault() fault.Kind { return fault.Request }

// Validate checks a run.json against the schema. What is wrong with the
// document is a *SchemaError.
func Validate(run []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(run))
	if err != nil {
		return &SchemaError{Problems: []string{"it is not JSON: " + err.Error()}}
	}
	schema, err := runSchemaOnce()
	if err != nil {
		return err
	}
	err = schema.Validate(doc)
	if ve := (*jsonschema.ValidationError)(nil); errors.As(err, &ve) {
		return &SchemaError{Problems: problems(ve)}
	}
	return err
}

// runSchemaOnce is the compiled schema, which is the same each time.
var runSchemaOnce = sync.OnceValues(compileSchema)

func compileSchema() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(runSchema))
	if err != nil {
		return nil, fmt.Errorf("read the run schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("run.schema.json", doc); err != nil {
		return nil, fmt.Errorf("read the run schema: %w", err)
	}
	schema, err := c.Compile("run.schema.json")
	if err != nil {
		return nil, fmt.Errorf("compile the run schema: %w", err)
	}
	return schema, nil
}

// problems are the leaves of a validation error, which say what is wrong; what
// lies above them only says how the validator got there.
func problems(e *jsonschema.ValidationError) []string {
	if len(e.Causes) == 0 {
		at := "/" + strings.Join(e.InstanceLocation, "/")
		return []string{at + ": " + e.ErrorKind.LocalizedString(message.NewPrinter(language.English))}
	}
	var out []string
	for _, c := range e.Causes {
		out = append(out, problems(c)...)
	}
	return out
}
