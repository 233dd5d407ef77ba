package catalogue

import (
	"slices"
	"testing"
)

func TestTables(t *testing.T) {
	seen := map[string]bool{}
	for _, table := range Tables() {
		if table.Title == "" || len(table.Columns) < 2 || len(table.Entries) == 0 {
			t.Errorf("table %q: got %d columns and %d rows, want a title, at least 2 columns, and rows",
				table.Title, len(table.Columns), len(table.Entries))
		}
		for _, e := range table.Entries {
			first := e[table.Columns[0]] // empty where a row goes on with another method
			for column, text := range e {
				if column != Reason && !slices.Contains(table.Columns, column) || text == "" {
					t.Errorf("%s: %s: got the column %q with %q, want a column of the table, with text", table.Title, first, column, text)
				}
			}
			if n := number.FindString(first); n != "" {
				if seen[n] {
					t.Errorf("%s is there twice", n)
				}
				seen[n] = true
			}
		}
	}
}

func TestFind(t *testing.T) {
	r, ok := Find("A01")
	if !ok || r.Number() != "A01" || r.Table != "A. DAX faults" || r.Cells[0].Column == "" {
		t.Errorf("got %+v, found %t; want A01 of the table A. DAX faults, with its columns", r, ok)
	}
	if r, ok := Find("Z99"); ok {
		t.Errorf("got %+v for Z99, want no row", r)
	}
	if r, ok := Find(""); ok {
		t.Errorf("got %+v for no number, want no row", r)
	}
	if got := Mentioning("f42e8e5088b9"); len(got) == 0 || got[0].Table != "5. Other differences between kernels on these paths" {
		t.Errorf("got %+v, want first a row of the table 5", got)
	}
	if r, _ := Find("A06"); r.Cells[1] != (Cell{"setup / inject / access", "MAP_SHARED_VALIDATE|MAP_SYNC store"}) {
		t.Errorf("got %+v, want MAP_SHARED_VALIDATE|MAP_SYNC store as its second cell", r)
	}
	if got := Mentioning("38607c62b34b"); len(got) != 1 || got[0].Number() != "" || got[0].Cells[0].Text != "6.15" {
		t.Errorf("got %+v, want one row, without a number, of 6.15", got)
	}
	if got := Mentioning(""); got != nil {
		t.Errorf("an empty text: got %d rows, want none", len(got))
	}
}
