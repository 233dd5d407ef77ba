package html

import (
	"html/template"

	"github.com/faultline/faultline/framework/report/matrix"
)

// page is the template's input, with every text.
type page struct {
	Policy   string // content security policy: only our own style and script
	Style    template.CSS
	Script   template.JS
	Data     template.HTML // the script's input for drawing cells (store.encode)
	Title    string
	Headline matrix.Headline
	Counts   []tally
	Findings []finding
	Picture  template.HTML // empty if there is nothing to draw
	Flips    flips         // the same as a table
	Kernels  []kernel
	Changes  []knownChange
	Columns  []column
	Width    int // columns of the matrix
	Groups   []group
	Unlike   []unlike
	Facts    []fact
	Command  string
}

type tally struct{ Class, Count, Words string }

type finding struct{ Kind, Scenario, Message string }

type fact struct {
	Name, Value string
	Code        bool // in monospace, to be typed or compared
}

type kernel struct {
	Name    string
	Facts   []fact
	Changes []kernelChange
	Console string // path of the file
	Tail    string // its end
}

type kernelChange struct {
	ID, Verdict, Words string
	Look               []string // scenarios to look at
}

type knownChange struct {
	ID, Commit, Since, Subject, Effect string
	Upstream                           string // address of the commit; empty if unknown
}

// column is a column of the matrix, for kernels that show the same.
type column struct {
	Kernel  int // the first of them
	Members string
	Names   []label
}

// label is a kernel's name above a column.
type label struct{ Short, Name string }

// group is rows that belong together. The filter uses its name.
type group struct {
	Name string
	Rows []pageRow
}

// pageRow is a scenario in the matrix.
type pageRow struct {
	ID, Doc string
	Class   string // "differs", "differs unexplained", "trouble"
	Mark    string // the same as a sign, independent of colour
	Says    string // the same as text, for screen readers
	Cells   []pageCell
	Why     []badge
}

type badge struct{ Class, Text, Title, ID string }

// pageCell is a cell's headline. Also lists the fields in which it differs from the
// kernel that it was compared with, if its text does not show the difference.
type pageCell struct {
	Missing           bool
	Class, Text, Also string
	Tag               string // the verdict, if it is not as expected
}

// unlike is a scenario in which kernels differ.
type unlike struct {
	ID, Doc     string
	Differences []difference
}
