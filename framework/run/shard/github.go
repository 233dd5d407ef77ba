package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"

	"github.com/faultline/faultline/internal/shell"
)

// include is a job of a GitHub matrix.
type include struct {
	Shard   string `json:"shard"`   // 1/4
	Index   int    `json:"index"`   // 1, for the names of artifacts, which must not have a slash
	Out     string `json:"out"`     // the folder of its results
	Command string `json:"command"` // for a shell
}

// github writes a line for $GITHUB_OUTPUT, with a value for fromJSON.
func github(w io.Writer, j Job) error {
	if err := j.most(256, "GitHub"); err != nil {
		return err
	}
	var matrix struct {
		Include []include `json:"include"`
	}
	for i := 1; i <= j.Shards; i++ {
		s, out := j.shardOf(i).String(), path.Join(j.out("shards"), fmt.Sprint(i))
		words := append(append([]string{}, j.Command...), "--shard", s, "--out", out)
		matrix.Include = append(matrix.Include, include{Shard: s, Index: i, Out: out, Command: shell.Quote(words)})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(matrix); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "matrix=%s", b.Bytes()) // the encoder ends the line
	return err
}
