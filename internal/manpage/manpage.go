// Package manpage writes a manual page from the kong model of a command line. It adds no
// text of its own: the page consists of the help texts and the caller's sections.
//
// mango-kong v0.1.0 is not used: it dates the page, so that no two are the same, omits the
// arguments of commands, and puts the help of a command into its heading.
package manpage

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Section is an additional section, after those of the commands.
type Section struct{ Title, Text string }

// Write writes the manual page of a program, in man(7) format. It has no date, so that
// the output depends on the program only.
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

// macro writes a macro with quoted arguments.
func (p *page) macro(name string, args ...string) {
	for i, a := range args {
		args[i] = `"` + strings.ReplaceAll(escape(a), `"`, `\(dq`) + `"`
	}
	p.line(strings.Join(append([]string{"." + name}, args...), " "))
}

// escape escapes the characters that are special to groff.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}

// text writes prose: paragraphs are filled, indented lines are kept verbatim.
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

// commands writes the commands of a node, each with its subcommands.
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

// tagged writes an item of a list: a name and its description.
func (p *page) tagged(name, what string) {
	p.line(".TP")
	p.macro("B", name)
	p.text(what)
}
