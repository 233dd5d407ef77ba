// Package manpage writes a manual page from the model that kong has of a command
// line: the words are those of its help texts.
package manpage

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Section is one that the model has no words for, behind those of the commands.
type Section struct{ Title, Text string }

// Write writes the page of a program, in the language of man(7). It has no date, so
// that the same program has the same page.
func Write(w io.Writer, app *kong.Application, version string, more ...Section) error {
	p := &page{w: w}
	p.macro("TH", strings.ToUpper(app.Name), "1", "", app.Name+" "+version)
	name, rest, _ := strings.Cut(app.Help, "\n")
	p.macro("SH", "NAME")
	p.text(app.Name + " - " + name)
	p.macro("SH", "SYNOPSIS")
	p.text(app.Name + " <command> [flags]")
	if rest = strings.TrimSpace(rest); rest != "" {
		p.macro("SH", "DESCRIPTION")
		p.text(rest)
	}
	p.macro("SH", "COMMANDS")
	p.commands(app.Node)
	for _, s := range more {
		p.macro("SH", s.Title)
		p.text(s.Text)
	}
	return p.err
}

type page struct {
	w   io.Writer
	err error
}

func (p *page) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

// macro is a request with its arguments in quotes.
func (p *page) macro(name string, args ...string) {
	for i, a := range args {
		args[i] = `"` + strings.ReplaceAll(escape(a), `"`, `\(dq`) + `"`
	}
	p.line(strings.Join(append([]string{"." + name}, args...), " "))
}

// escape takes their meaning from the characters that groff gives one.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

// text is prose: paragraphs that are filled, and lines that are indented, which
// stand as they are.
func (p *page) text(s string) {
	verbatim := false
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, " ")
		if indented != verbatim {
			if verbatim = indented; verbatim {
				p.line(".nf")
			} else {
				p.line(".fi")
			}
		}
		if line == "" {
			p.line(".PP")
			continue
		}
		line = escape(line)
		if strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
		p.line(line)
	}
	if verbatim {
		p.line(".fi")
	}
}

// commands are those of a node, each with what stands below it.
func (p *page) commands(n *kong.Node) {
	for _, c := range n.Children {
		if c.Hidden {
			continue
		}
		p.macro("SS", c.FullPath()+strings.TrimPrefix(c.Summary(), c.Path()))
		p.text(c.Help)
		if c.Detail != "" {
			p.line(".PP")
			p.text(c.Detail)
		}
		for _, a := range c.Positional {
			p.tagged(a.Summary(), a.Help)
		}
		for _, f := range c.Flags {
			if f.Hidden {
				continue
			}
			name := "--" + f.Name
			if !f.IsBool() {
				name += "=" + f.FormatPlaceHolder()
			}
			p.tagged(name, f.Help)
		}
		p.commands(c)
	}
}

// tagged is an item of a list: its name, and what it is.
func (p *page) tagged(name, what string) {
	p.line(".TP")
	p.macro("B", name)
	p.text(what)
}
