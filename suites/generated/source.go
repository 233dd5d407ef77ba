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

// Expected is what a spec expects of a step.
type Expected struct {
	Comment string // above it; empty for none
	Matcher string // the source of a Gomega matcher
}

// Spec returns the source of a spec that does what a program does, in the style of the
// suites: a call of It. expected has what it expects of the program's steps, by their index;
// depends is set if one depends on the change found.
func Spec(p generated.Program, id, text string, expected map[int]Expected, depends bool) (string, error) {
	w, err := newWriter()
	if err != nil {
		return "", err
	}
	if err := w.entry("setups", p.Place.Name, ""); err != nil {
		return "", err
	}
	setup := len(w.lines)
	var checks []string
	for i, s := range p.Steps {
		name := ""
		if e, ok := expected[i]; ok {
			name = w.unique(variable(s))
			if e.Comment != "" {
				checks = append(checks, "// "+e.Comment)
			}
			checks = append(checks, fmt.Sprintf("Expect(%s).To(%s)", name, e.Matcher))
		}
		if err := w.step(s, name); err != nil {
			return "", fmt.Errorf("%s: %w", s, err)
		}
	}
	for _, name := range []string{"frame", "swap", "child"} {
		w.drop(name)
	}
	lines := slices.Concat([]string{"g := StartGuest(ctx)", "v := g.Victim(ctx)"}, w.lines[:setup])
	body := strings.Join(w.lines[setup:], "\n")
	for _, place := range [][2]string{
		{"page", "m.At(Page(4))"}, {"at", "m.At(Page(4)+5)"}, {"next", "m.At(Page(5)+5)"},
	} {
		if word(place[0]).MatchString(body) {
			lines = append(lines, place[0]+" := "+place[1])
		}
	}
	lines = slices.Concat(lines, w.lines[setup:], checks)
	if depends {
		w.need("Changes(found)")
	}
	return fmt.Sprintf("It(%q, Scenario(%q,\n%s), func(ctx SpecContext) {\n%s\n})",
		text, id, wrapped(w.needs), strings.Join(lines, "\n")), nil
}

// wrapped returns arguments in lines of at most some 100 columns.
func wrapped(args []string) string {
	text, column := "", 0
	for i, a := range args {
		if column += len(a) + len(", "); i > 0 {
			text += ", "
			if column > 100 {
				text, column = text+"\n", len(a)
			}
		}
		text += a
	}
	return text
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
		declared: map[string]bool{"ctx": true, "g": true, "v": true, "m": true, "page": true, "at": true, "next": true},
		needs:    []string{`Needs("MEMORY_FAILURE")`, "NeedsPageMap()"},
		tables:   map[string]map[string]ast.Expr{}, helpers: map[string]*ast.FuncDecl{},
	}
	delete(w.declared, "m")
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

// statement writes a statement. done is true if it returns.
func (w *writer) statement(s ast.Stmt, name string) (done bool) {
	switch s := s.(type) {
	case *ast.IfStmt:
		return w.condition(s, name)
	case *ast.ReturnStmt:
		result := w.spec(source(s.Results[0]))
		switch {
		case result == "nil":
		case !strings.Contains(result, "("): // a variable
			w.rename(result, name)
		case name != "":
			w.lines = append(w.lines, name+" := "+result)
		default:
			w.lines = append(w.lines, result)
		}
		return true
	}
	w.lines = append(w.lines, w.spec(source(s)))
	return false
}

// rename gives a variable of the last step another name, or none if nothing else uses it.
func (w *writer) rename(variable, name string) {
	start := len(w.lines) - 1
	for ; start > 0 && !strings.HasPrefix(w.lines[start], variable+" := "); start-- {
	}
	uses := 0
	for _, l := range w.lines[start:] {
		uses += len(word(variable).FindAllString(l, -1))
	}
	switch {
	case name != "":
		for i := range w.lines[start:] {
			w.lines[start+i] = word(variable).ReplaceAllString(w.lines[start+i], name)
		}
		delete(w.declared, variable)
	case uses == 1:
		w.lines[start] = strings.TrimPrefix(w.lines[start], variable+" := ")
		delete(w.declared, variable)
	}
}

// drop removes the assignments to a variable if nothing else uses it.
func (w *writer) drop(variable string) {
	assignment := regexp.MustCompile(`^` + variable + ` :?= `)
	for _, l := range w.lines {
		if word(variable).MatchString(assignment.ReplaceAllString(l, "")) && !strings.Contains(l, `"`+variable+`"`) {
			return
		}
	}
	for i, l := range w.lines {
		w.lines[i] = assignment.ReplaceAllString(l, "")
	}
}

// word matches an identifier.
func word(name string) *regexp.Regexp { return regexp.MustCompile(`\b` + name + `\b`) }

// condition writes what remains of an if statement in a program whose course is known.
func (w *writer) condition(s *ast.IfStmt, name string) (done bool) {
	switch cond := source(s.Cond); {
	case cond == "!s.found()": // the page was found
		w.lines = append(w.lines, "v.Present(ctx, at)", w.spec("s.frame = s.v.Frame(s.ctx, s.page)"))
	case strings.HasSuffix(cond, `!= "swap entry"`): // the page was swapped out
		w.lines = append(w.lines, "v.Present(ctx, at)")
	case strings.HasPrefix(cond, "!s."):
	case strings.HasPrefix(cond, "s."): // s.FIELD != nil
		field, _, _ := strings.Cut(strings.TrimPrefix(cond, "s."), " ")
		if w.declared[field] {
			for _, s := range s.Body.List {
				if w.statement(s, name) {
					return true
				}
			}
		}
	default:
		w.lines = append(w.lines, w.spec(source(s)))
	}
	return false
}

var (
	assigned = regexp.MustCompile(`(?m)^\s*s\.(\w+) = `)
	defined  = regexp.MustCompile(`^((?:\w+, )*\w+) := `)
	field    = regexp.MustCompile(`\bs\.(\w+)\b`)
)

// spec returns a statement with the fields of state as variables.
func (w *writer) spec(text string) string {
	who, where, file := "v", "at", "m.FD()"
	switch w.role {
	case generated.Child, generated.Thread:
		who = string(w.role)
	case generated.Second:
		who, where, file = "second", "other.At(Page(4)+5)", "other.FD()"
	}
	text = strings.NewReplacer("s.who", who, "s.where", where, "s.file()", file).Replace(text)
	text = assigned.ReplaceAllStringFunc(text, func(a string) string {
		name := assigned.FindStringSubmatch(a)[1]
		if w.declared[name] {
			return a
		}
		return strings.Replace(a, " = ", " := ", 1)
	})
	text = field.ReplaceAllString(text, "$1")
	for _, constant := range [][2]string{{"bad ?\\+ ?1", "5"}, {"bad", "4"}, {"inside", "5"},
		{"punch", "unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE"}} {
		text = replaced(text, constant[0], constant[1])
	}
	if m := defined.FindStringSubmatch(text); m != nil {
		fresh := false
		for _, name := range strings.Split(m[1], ", ") {
			fresh = fresh || name != "_" && !w.declared[name]
			w.declared[name] = true
		}
		if !fresh {
			text = strings.Replace(text, " := ", " = ", 1)
		}
	}
	return text
}
