package html

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"strings"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/guest/siginfo"
	"github.com/faultline/faultline/internal/sanitize"
)

// data is the input of the page's script, which draws a cell when it is opened. Most
// cells of a run are alike, so equal texts, payloads, steps and cells are stored once
// and referred to by index. The matrix and the differences are markup, because they must
// be readable without a script and on paper; only a cell's headline is, so that the page
// is small enough to open at once.
type data struct {
	Text     []string      `json:"text"`   // the first is empty
	Fields   []layoutField `json:"fields"` // of siginfo_t
	Bytes    int           `json:"bytes"`  // its size
	Kernels  []dataKernel  `json:"kernels"`
	Payloads []dataPayload `json:"payloads"`
	Steps    []dataStep    `json:"steps"`
	Cells    []dataCell    `json:"cells"`
	Rows     []dataRow     `json:"rows"` // in the order of the matrix
}

// layoutField is the position of a field of siginfo_t.
type layoutField struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Off  int    `json:"off"`
	End  int    `json:"end"`
}

// dataKernel is a column. By is its name within the name of a cell; Names are its other
// names.
type dataKernel struct {
	Name  string   `json:"name"`
	Short string   `json:"short"`
	By    string   `json:"by"`
	Names []string `json:"names"`
}

// dataPayload is a delivered siginfo_t. Hex is without trailing zeros; Values and Means
// are texts, one for each field, and absent if it cannot be decoded.
type dataPayload struct {
	Hex    string `json:"hex"`
	Thread int    `json:"thread,omitempty"`
	Values []int  `json:"values,omitempty"`
	Means  []int  `json:"means,omitempty"`
	// Fields is set if the layout is not that of data.
	Fields []layoutField `json:"fields,omitempty"`
}

// dataStep is a step; all but Met and Payloads are texts.
type dataStep struct {
	Actor    int      `json:"actor"`
	Action   int      `json:"action"`
	Outcome  int      `json:"outcome"`
	Details  [][2]int `json:"details,omitempty"`
	Payloads []int    `json:"payloads,omitempty"`
	How      int      `json:"how,omitempty"` // "as without dax_fault_hwpoison"; 0 where nothing was asked
	Wanted   int      `json:"wanted,omitempty"`
	Unmet    bool     `json:"unmet,omitempty"`
	Poisons  int      `json:"poisons,omitempty"`
	Heals    int      `json:"heals,omitempty"`
	Touches  int      `json:"touches,omitempty"`
}

// dataCell is an observation, without what each has of its own.
type dataCell struct {
	Verdict   string   `json:"verdict"` // as the style calls it
	State     int      `json:"state"`   // as text
	Message   int      `json:"message,omitempty"`
	Steps     []int    `json:"steps,omitempty"`
	Witnesses [][2]int `json:"witnesses,omitempty"`
	LeftOut   []int    `json:"left_out,omitempty"`
}

// place is a cell at its place: which, and what it has of its own. All but Beside
// and Cell are texts. Beside is the column that it was compared with, and -1 for none.
type place struct {
	Cell   int `json:"cell"`
	Beside int `json:"beside"`
	Facts  int `json:"facts"`
	Repeat int `json:"repeat"`
	Log    int `json:"log,omitempty"`
	Tail   int `json:"tail,omitempty"`
}

// dataRow is a scenario. Changes are those that explain its differences, and
// Cells one for each column, null if there is none.
type dataRow struct {
	ID          string        `json:"id"`
	Doc         int           `json:"doc"`
	Needs       int           `json:"needs,omitempty"`
	Changes     []string      `json:"changes,omitempty"`
	Notable     bool          `json:"notable,omitempty"`
	Cells       []*place      `json:"cells"`
	Differences []dataDiffers `json:"differences,omitempty"`
	Findings    []dataFinding `json:"findings,omitempty"`
}

// dataDiffers is a difference; On are the columns that differ from column From.
type dataDiffers struct {
	From  int    `json:"from"`
	On    []int  `json:"on"`
	Where int    `json:"where"`
	Field int    `json:"field"`
	A     int    `json:"a"`
	B     int    `json:"b"`
	By    string `json:"by,omitempty"`
	Why   string `json:"why,omitempty"` // if no change explains it: "unexplained", "lost"
}

type dataFinding struct {
	On      []int `json:"on"`
	Kind    int   `json:"kind"`
	Message int   `json:"message"`
}

// store collects data, each value once.
type store struct {
	data
	texts map[string]int
	seen  map[string]int // of other values, by type and content
}

func newStore() *store {
	s := &store{data: data{Text: []string{""}, Bytes: siginfo.Size}, texts: map[string]int{"": 0}, seen: map[string]int{}}
	s.Fields = layout(siginfo.Info{})
	return s
}

func layout(in siginfo.Info) (fields []layoutField) {
	for _, f := range in.Fields() {
		fields = append(fields, layoutField{f.Name, f.Type, f.Off, f.End})
	}
	return fields
}

// text returns the index of a text, sanitized, because it may be a guest's.
func (s *store) text(t string) int {
	t = sanitize.Text(t)
	i, ok := s.texts[t]
	if !ok {
		i = len(s.Text)
		s.texts[t], s.Text = i, append(s.Text, t)
	}
	return i
}

// once returns the index of v in list, and adds it if it is new.
func once[T any](s *store, list *[]T, v T) int {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	key := fmt.Sprintf("%T%s", v, b)
	i, ok := s.seen[key]
	if !ok {
		i = len(*list)
		s.seen[key], *list = i, append(*list, v)
	}
	return i
}

func (s *store) payload(sig observe.Signal) int {
	in, err := sig.Info()
	if err != nil {
		return once(s, &s.Payloads, dataPayload{Hex: sanitize.Line(sig.Raw), Thread: s.text(sig.Thread)})
	}
	p := dataPayload{Hex: hex.EncodeToString(bytes.TrimRight(in.Raw[:], "\x00")), Thread: s.text(sig.Thread)}
	if in.Is32 {
		p.Fields = layout(in)
	}
	for _, f := range in.Fields() {
		means := f.Means
		if f.Name == "si_addr" {
			means = sig.Addr
		}
		p.Values, p.Means = append(p.Values, s.text(f.Value)), append(p.Means, s.text(means))
	}
	return once(s, &s.Payloads, p)
}

// encode returns the data as base64 of compressed JSON, which has a seventh of the size: the
// logs of cells are similar, but not equal.
func (s *store) encode() (template.HTML, error) {
	var b strings.Builder
	text := base64.NewEncoder(base64.StdEncoding, &b)
	z := gzip.NewWriter(text)
	if err := errors.Join(json.NewEncoder(z).Encode(s.data), z.Close(), text.Close()); err != nil {
		return "", fmt.Errorf("encode the report's cells: %w", err)
	}
	return template.HTML(b.String()), nil // base64 needs no escape
}

// addKernels adds the columns, with the names that a cell's name may use.
func (s *store) addKernels(run results.Run, short []string) {
	for i, k := range run.Kernels {
		_, by, _ := results.SplitCell(run.CellName(observe.Cell{Kernel: k.Name}))
		d := dataKernel{Name: sanitize.Line(k.Name), Short: sanitize.Line(short[i]), By: sanitize.Line(by)}
		for _, n := range []string{k.Name, k.Spec, k.Version, k.Release} {
			d.Names = append(d.Names, sanitize.Line(n))
		}
		s.Kernels = append(s.Kernels, d)
	}
}
