package git

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// Linear creates a repository in dir, an empty folder, with a commit for each text, the
// parent of the next one. The text is the commit's subject. The same texts give the same
// hashes, which are returned in order. With it, git bisect can search any
// ordered list.
func Linear(ctx context.Context, dir string, texts []string) (*Tree, []string, error) {
	if _, err := Run(ctx, dir, nil, nil, "init", "-q"); err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	for i, text := range texts {
		fmt.Fprintf(&b, "commit refs/heads/list\ncommitter list <> %d +0000\ndata %d\n%s\n", i, len(text), text)
		fmt.Fprintf(&b, "M 100644 inline item\ndata %d\n%s\n\n", len(text), text)
	}
	if _, err := Run(ctx, dir, nil, b.Bytes(), "fast-import", "--quiet"); err != nil {
		return nil, nil, err
	}
	out, err := Run(ctx, dir, nil, nil, "rev-list", "--reverse", "refs/heads/list")
	if err != nil {
		return nil, nil, err
	}
	t, err := Open(ctx, dir)
	return t, strings.Fields(string(out)), err
}
