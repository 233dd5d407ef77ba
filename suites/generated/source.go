package generated

import (
	"bytes"
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"regexp"
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/record/generated"
)

// sources are this package's own: the statements of a spec are those that carried out the
// program.
//
//go:embed setups.go steps.go
var sources embed.FS

// course is what a program did, as far as a spec repeats it. Steps are those of the program,
// by their index.
type course struct {
	expected map[int]string // the source of a Gomega matcher for a step's result
	done     map[int]bool   // steps with a result: not of a process that had ended
	depends  bool           // an expectation depends on the change found
	listed   bool           // it waited for the bad blocks that a machine check adds
}

// spec returns the source of a spec that does what a program did, in the style of the suites:
// a call of It.
func spec(p generated.Program, id, text string, c course) (string, error) {
	w, err := newWriter()
	if err != nil {
		return "", err
	}
	w.declared["listed"] = c.listed
	if err := w.entry("setups", p.Place.Name, ""); err != nil {
		return "", err
	}
	setup := len(w.lines)
	var checks []string
	for i, s := range p.Steps {
		name := ""
		if matcher, ok := c.expected[i]; ok {
			name = w.unique(variable(s))
			checks = append(checks, fmt.Sprintf("Expect(%s).To(%s)", name, matcher))
		}
		switch {
		case c.done[i] || s.Name == generated.Fork:
			err = w.step(s, name)
		case s.Frame || s.Name == "badblock": // the page was not present
			w.lines = append(w.lines, "v.Present(ctx, at)")
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", s, err)
		}
	}
	w.moved()
	lines := slices.Concat([]string{"g := StartGuest(ctx)", "v := g.Victim(ctx)"}, w.lines[:setup])
	body := strings.Join(w.lines[setup:], "\n")
	for _, place := range [][2]string{
		{"page", "m.At(Page(4))"}, {"at", "m.At(Page(4)+5)"}, {"next", "m.At(Page(5)+5)"},
	} {
		if word(place[0]).MatchString(body) {
			lines = append(lines, place[0]+" := "+place[1])
		}
	}
	w.lines = slices.Concat(lines, w.lines[setup:], checks)
	for _, name := range []string{"frame", "swap", "child", "m"} {
		w.drop(name)
	}
	if c.depends {
		w.need("Changes(found)")
	}
	return fmt.Sprintf("It(%q, Scenario(%q,\n%s), func(ctx SpecContext) {\n%s\n})",
		text, id, wrapped(w.needs), strings.Join(w.lines, "\n")), nil
}

// moved removes the new address of a moved page where no later step uses it.
func (w *writer) moved() {
	const both = "page, at = to.At(0), to.At(5)"
	at := slices.IndexFunc(w.lines, func(l string) bool { return strings.Contains(l, both) })
	if at < 0 {
		return
	}
	uses := func(name string) bool {
		return slices.ContainsFunc(w.lines[at+1:], func(l string) bool { return word(name).MatchString(l) })
	}
	switch page, byte := uses("page"), uses("at"); {
	case page && byte:
	case page:
		w.lines[at] = strings.Replace(w.lines[at], both, "page = to.At(0)", 1)
	case byte:
		w.lines[at] = strings.Replace(w.lines[at], both, "at = to.At(5)", 1)
	default: // the whole condition, and the variable that only it uses
		w.lines = slices.Delete(w.lines, at, at+1)
		w.drop("moved")
	}
}

// variable returns the name of the variable for the result of a step: "childLoad".
func variable(s generated.Step) string {
	words := strings.Split(s.String(), "-")
	for i := range words[1:] {
		words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
	}
	return strings.ReplaceAll(strings.Join(words, ""), "Pfn", "PFN")
}

// writer writes the statements of a spec.
type writer struct {
	lines    []string
	needs    []string
	declared map[string]bool
	tables   map[string]map[string]ast.Expr // the entries of the maps setups and operations
	helpers  map[string]*ast.FuncDecl
	role     generated.Role
}

func newWriter() (*writer, error) {
	w := &writer{
		declared: map[string]bool{"ctx": true, "g": true, "v": true, "page": true, "at": true, "next": true},
		needs:    []string{`Needs("MEMORY_FAILURE")`, "NeedsPageMap()"},
		tables:   map[string]map[string]ast.Expr{}, helpers: map[string]*ast.FuncDecl{},
	}
	for _, file := range []string{"setups.go", "steps.go"} {
		data, err := sources.ReadFile(file)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, data, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				w.helpers[n.Name.Name] = n
				return false
			case *ast.ValueSpec:
				w.table(n)
				return false
			}
			return true
		})
	}
	return w, nil
}

// table reads one of the maps.
func (w *writer) table(v *ast.ValueSpec) {
	if len(v.Values) != 1 {
		return
	}
	if lit, ok := v.Values[0].(*ast.CompositeLit); ok {
		entries := map[string]ast.Expr{}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				entries[strings.Trim(source(kv.Key), `"`)] = kv.Value
			}
		}
		w.tables[v.Names[0].Name] = entries
	}
}

// unique returns a name that no variable has yet, and reserves it.
func (w *writer) unique(name string) string {
	try := name
	for n := 2; w.declared[try] || token.IsKeyword(try); n++ {
		try = fmt.Sprint(name, n)
	}
	w.declared[try] = true
	return try
}

// step writes a step; its result is assigned to the variable name, if that is not empty.
func (w *writer) step(s generated.Step, name string) error {
	w.role = s.Role
	switch {
	case s.Role == generated.Thread && !w.declared["thread"]:
		w.declared["thread"] = true
		w.lines = append(w.lines, "thread := v.Thread(ctx)")
	case s.Role == generated.Second && !w.declared["second"]:
		w.declared["second"], w.declared["other"] = true, true
		w.lines = append(w.lines, "second := g.Second(ctx)", "other := second.MapPart(ctx, f, 0, m.Bytes, Shared)")
	}
	if err := w.entry("operations", s.Name, name); err != nil {
		return err
	}
	if s.Exact {
		w.need(`Exactly()`)
		w.need(`Needs("X86_MCE")`)
	}
	if s.Injection && s.Frame {
		w.lines = append(w.lines, "v.Idle(ctx)")
	}
	return nil
}

func (w *writer) need(trait string) {
	if !slices.Contains(w.needs, trait) {
		w.needs = append(w.needs, trait)
	}
}

// entry writes the statements of an entry of a map, and adds what it needs.
func (w *writer) entry(table, key, name string) error {
	e, err := w.expand(w.tables[table][key])
	if err != nil {
		return err
	}
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return fmt.Errorf("%s[%q] is a %T, want a struct", table, key, e)
	}
	for _, field := range lit.Elts {
		if kv, ok := field.(*ast.KeyValueExpr); ok {
			field = kv.Value
		}
		value, err := w.expand(field)
		if err != nil {
			return err
		}
		switch value := value.(type) {
		case *ast.CompositeLit:
			for _, t := range value.Elts {
				w.need(source(t))
			}
		case *ast.FuncLit:
			for _, s := range value.Body.List {
				if done := w.statement(s, name); done {
					break
				}
			}
		}
	}
	return nil
}

// expand replaces a call of one of this package's helpers by what it returns.
func (w *writer) expand(e ast.Expr) (ast.Expr, error) {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return e, nil
	}
	helper := w.helpers[source(call.Fun)]
	if helper == nil {
		return nil, fmt.Errorf("%s is not a function of this package", source(call.Fun))
	}
	text := source(helper.Body.List[0].(*ast.ReturnStmt).Results[0])
	var args []string
	for _, a := range call.Args {
		args = append(args, source(a))
	}
	for _, field := range helper.Type.Params.List {
		_, variadic := field.Type.(*ast.Ellipsis)
		for _, n := range field.Names {
			if !variadic {
				text, args = replaced(text, n.Name, args[0]), args[1:]
				continue
			}
			rest := ""
			for _, a := range args {
				rest += ", " + a
			}
			text = strings.ReplaceAll(text, ", "+n.Name+"...", rest)
			text = strings.ReplaceAll(text, "needs: "+n.Name, "needs: []Trait{"+strings.TrimPrefix(rest, ", ")+"}")
		}
	}
	return parser.ParseExpr(text)
}

// replaced replaces an identifier in an expression.
func replaced(text, name, by string) string {
	return regexp.MustCompile(`(^|[^.\w])`+name+`\b`).ReplaceAllString(text, "${1}"+strings.ReplaceAll(by, "$", "$$"))
}

// source returns the source of a node.
func source(n any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), n); err != nil {
		return err.Error() // which does not compile
	}
	return b.String()
}
