package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// edit replaces a text that must stand exactly once in a file of the source.
type edit struct{ file, old, new string }

func (e edit) apply(text string) (string, error) {
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf("%s: %q stands there %d times, not once; the source is another than the edit was written for", e.file, e.old, n)
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}

// unedited is the name under which a file is kept while it is edited.
const unedited = ".unedited"

// applyEdits edits the source in tree, all edits or none. Undo it with restore.
func applyEdits(tree string, edits []edit) error {
	texts := map[string]string{}
	for _, e := range edits {
		if _, ok := texts[e.file]; !ok {
			data, err := os.ReadFile(filepath.Join(tree, e.file))
			if err != nil {
				return err
			}
			texts[e.file] = string(data)
		}
		text, err := e.apply(texts[e.file])
		if err != nil {
			return err
		}
		texts[e.file] = text
	}
	for file, text := range texts {
		path := filepath.Join(tree, file)
		if err := os.Rename(path, path+unedited); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// restore puts back those of the files that are edited, also by a process that
// was killed. They are written anew: with its old time make would take a file
// for older than the object that the edited one was compiled to.
func restore(tree string, edits []edit) error {
	for _, e := range edits {
		path := filepath.Join(tree, e.file)
		data, err := os.ReadFile(path + unedited)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		if err := os.Remove(path + unedited); err != nil {
			return err
		}
	}
	return nil
}
