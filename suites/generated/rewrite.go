package generated

import (
	"go/ast"
	"regexp"
	"strings"

	"github.com/faultline/faultline/framework/record/generated"
)

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
		if w.declared[field] && (!strings.Contains(cond, "s.listed()") || w.declared["listed"]) {
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

// wrapped returns arguments in lines of at most some 80 columns.
func wrapped(args []string) string {
	text, column := "", 0
	for i, a := range args {
		if column += len(a) + len(", "); i > 0 {
			text += ", "
			if column > 80 {
				text, column = text+"\n", len(a)
			}
		}
		text += a
	}
	return text
}
