package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// word is a string that is always quoted in YAML, as a JSON string, which is also a YAML
// string.
type word string

// MarshalYAML implements yaml.BytesMarshaler.
func (w word) MarshalYAML() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(string(w))
	return bytes.TrimSpace(b.Bytes()), err
}

func quoted(words []string) (out []word) {
	for _, w := range words {
		out = append(out, word(w))
	}
	return out
}

// writeYAML writes a comment and a document.
func writeYAML(w io.Writer, comment string, v any) error {
	for line := range strings.Lines(comment) {
		if _, err := io.WriteString(w, strings.TrimRight("# "+line, " \n")+"\n"); err != nil {
			return err
		}
	}
	b, err := yaml.MarshalWithOptions(v, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("write the pipeline as YAML: %w", err)
	}
	_, err = w.Write(b)
	return err
}
