package html

import (
	"html/template"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/report/matrix"
)

// page is what the template is given: every text is made here.
type page struct {
	Policy   string // content security policy: our own style and script, nothing else
	Style    template.CSS
	Script   template.JS
	Title    string
	Headline matrix.Headline
	Counts   []tally
	Findings []finding
	Kernels  []kernel
	Changes  []change.Change
	Groups   []group
	Columns  int
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
	Name     string
	Facts    []fact
	Changes  []kernelChange
	Console  string // path of the whole
	Tail     string // its end
	Position int
}

type kernelChange struct {
	ID, Verdict, Words string
	Look               []string // scenarios to look at
}

type group struct {
	Name string
	Rows []pageRow
}

type pageRow struct {
	N             int
	ID, Doc       string
	Search        string // what the filter looks in
	Class         string
	Mark          string
	Notable       bool
	Cells         []pageCell
	Changes       []badge
	Unexplained   bool
	Lost          bool
	Pairs         []pair
	Needs         string
	NotRepeatable bool
}

type badge struct{ ID, Title, Subject string }

// pair is what differs between two kernels, or two attempts on one.
type pair struct {
	A, B        string
	Differences []difference
}

type difference struct {
	Where, Field, A, B, ExplainedBy string
}

type pageCell struct {
	Kernel             string
	N                  int
	Missing            bool
	Text, Class, State string
	Facts              string
	Message            string
	Steps              []pageStep
	Witnesses          []fact
	Log, Tail, Repeat  string
}

type pageStep struct {
	N                      int
	Actor, Action, Outcome string
	Differs                bool
	Expected               *expectation
	Details                []fact
	Signals                []pageSignal
}

type expectation struct {
	Met                bool
	Wanted, Why, Other string
}

type pageSignal struct {
	Title, Thread string
	Open          bool // show the bytes at once
	Fields        []part
	Dump          []dumpLine
	Raw           string // instead of both, where it can't be decoded
}
