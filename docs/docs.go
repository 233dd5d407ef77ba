// Package docs holds what the program itself shows of this folder: the
// catalogue's rows. Its text is nowhere else.
package docs

import (
	_ "embed"
	"regexp"
	"strings"
)

//go:embed reference/catalogue.md
var catalogue string

// Row is a row of one of the catalogue's tables.
type Row struct {
	Table string // the heading above it: "A. DAX faults (the differential)"
	Cells []Cell // those that hold anything, in order
}

// Cell is a column of a row.
type Cell struct{ Column, Text string }

// number is what the first column of a row begins with that scenarios carry.
var number = regexp.MustCompile(`^[A-Z]\d+[a-z]?\b`)

// Number is the row's number, "A01"; empty where its table has none.
func (r Row) Number() string { return number.FindString(r.Cells[0].Text) }

// Catalogue finds the row of a number: "A01".
func Catalogue(n string) (Row, bool) {
	for _, r := range rows(catalogue) {
		if r.Number() == n {
			return r, true
		}
	}
	return Row{}, false
}

// Mentioning are the catalogue's rows with a text, such as a commit.
func Mentioning(text string) []Row {
	var out []Row
	for _, r := range rows(catalogue) {
		for _, c := range r.Cells {
			if text != "" && strings.Contains(c.Text, text) {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

// rows reads the tables of a page.
func rows(page string) []Row {
	var out []Row
	var columns []string
	heading, before := "", ""
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			heading, columns = strings.TrimLeft(line, "# "), nil
		case strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| --"):
			columns = cells(before)
		case !strings.HasPrefix(line, "|"):
			columns = nil
		case columns != nil:
			r := Row{Table: heading}
			for i, text := range cells(line) {
				if text != "" && i < len(columns) {
					r.Cells = append(r.Cells, Cell{columns[i], text})
				}
			}
			if len(r.Cells) > 0 {
				out = append(out, r)
			}
		}
		before = line
	}
	return out
}

// cells are those of a table's line. A \| is a character of one.
func cells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	var out []string
	for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(c), bar, "|"))
	}
	return out
}
