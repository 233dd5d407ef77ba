// Package catalogue holds the catalogue as data: for each numbered case, what was
// predicted before any kernel was run, and why. Scenarios carry its numbers. The page
// docs/reference/catalogue.md has the same tables, generated from this data. The
// package does not compare predictions with results.
package catalogue

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed catalogue.yaml
var text []byte

// Table is a table of the catalogue.
type Table struct {
	Title   string   `yaml:"title"`   // the heading on the page: "A. DAX faults"
	Columns []string `yaml:"columns"` // in the page's order
	Entries []Entry  `yaml:"rows"`
}

// Entry maps the columns of a row to their text; empty ones are left out. The key
// Reason says why no scenario runs the row, or a part of it.
type Entry map[string]string

// Reason is a key of an Entry.
const Reason = "reason"

// Row is a row of a table.
type Row struct {
	Table string // its title
	Cells []Cell // those that are not empty, in the order of the columns
}

// Cell is the text of a row in one column.
type Cell struct{ Column, Text string }

var number = regexp.MustCompile(`^[A-Z]\d+[a-z]?\b`)

// Number returns the row's number, "A01"; "" in a table whose rows have none.
func (r Row) Number() string { return number.FindString(r.Cells[0].Text) }

// Tables returns the tables in the page's order. The file is part of the program:
// an error in it is a programming error, which a test finds.
var Tables = sync.OnceValue(func() []Table {
	var all []Table
	if err := yaml.UnmarshalWithOptions(text, &all, yaml.Strict()); err != nil {
		panic("catalogue.yaml: " + err.Error())
	}
	return all
})

// rows returns the rows of all tables.
func rows() (all []Row) {
	for _, t := range Tables() {
		for _, e := range t.Entries {
			r := Row{Table: t.Title}
			for _, c := range t.Columns {
				if e[c] != "" {
					r.Cells = append(r.Cells, Cell{c, e[c]})
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// Find returns the row with a number: "A01".
func Find(n string) (Row, bool) {
	for _, r := range rows() {
		if n != "" && r.Number() == n {
			return r, true
		}
	}
	return Row{}, false
}

// Mentioning returns the rows that contain a text, such as a commit.
func Mentioning(text string) (found []Row) {
	for _, r := range rows() {
		for _, c := range r.Cells {
			if text != "" && strings.Contains(c.Text, text) {
				found = append(found, r)
				break
			}
		}
	}
	return found
}
