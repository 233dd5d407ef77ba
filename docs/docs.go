// Package docs embeds the catalogue and finds its rows, for faultline explain. It
// does not interpret them.
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
	Cells []Cell // those that are not empty, in order
}

// Cell is the text of a row in one column.
type Cell struct{ Column, Text string }

// number matches the number at the start of a row, to which scenarios refer.
var number = regexp.MustCompile(`^[A-Z]\d+[a-z]?\b`)

// Number returns the row's number, such as "A01", or "" if its table has none.
func (r Row) Number() string { return number.FindString(r.Cells[0].Text) }

// Catalogue returns the row with a number, such as "A01".
func Catalogue(n string) (Row, bool) {
	for _, r := range rows(catalogue) {
		if r.Number() == n {
			return r, true
		}
	}
	return Row{}, false
}

// Mentioning returns the catalogue's rows that contain a text, such as a commit.
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

// rows parses the tables of a page.
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

// cells splits a line of a table. A \| is a character of a cell.
func cells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	var out []string
	for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(c), bar, "|"))
	}
	return out
}
