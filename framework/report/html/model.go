package html

import (
	"html/template"

	"github.com/faultline/faultline/framework/report/matrix"
)

// page is what the template is given: every text is made here.
type page struct {
	Policy   string // content security policy: our own style and script, nothing else
	Style    template.CSS
	Script   template.JS
	Data     template.JS // what the script draws cells of
	Title    string
	Headline matrix.Headline
	Counts   []tally
	Findings []finding
	Picture  template.HTML // empty where there is nothing to draw
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
	Code        bool // show it as something to be typed or compared
}

type kernel struct {
	Name    string
	Facts   []fact
	Changes []kernelChange
	Console string // path of the whole
	Tail    string // its end
}

type kernelChange struct {
	ID, Verdict, Words string
	Look               []string // scenarios to look at
}

type knownChange struct {
	ID, Commit, Since, Subject, Effect string
	Upstream                           string // where the commit can be read; empty for one of which that isn't known
}

// column is what the matrix has for kernels that show the same.
type column struct {
	Kernel  int // the first of them
	Members string
	Names   []label
}

// label is a kernel above a column.
type label struct{ Short, Name string }

// group is rows that belong together. Its name is what the filter calls it.
type group struct {
	Name string
	Rows []pageRow
}

// pageRow is a scenario in the matrix.
type pageRow struct {
	ID, Doc string
	Class   string // "differs", "differs unexplained", "trouble"
	Mark    string // the same as a sign, for who sees no colour
	Says    string // and in words, for who sees neither
	Cells   []pageCell
	Why     []badge
}

type badge struct{ Class, Text, Title, ID string }

// pageCell is a cell's headline. Also are fields in which it differs from the
// kernel that it was compared with, where its text does not show that.
type pageCell struct {
	Missing           bool
	Class, Text, Also string
	Tag               string // the verdict, where it is not as expected
}

// unlike is a scenario in which kernels differ.
type unlike struct {
	ID, Doc     string
	Differences []difference
}
