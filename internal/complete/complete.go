// Package complete returns shell completions for a command line, from the kong model of
// its parser. It does not know the values of flags and arguments; the caller lists them.
//
// kong-completion v0.0.4 is not used: in zsh it needs bashcompinit, and it ignores that bash
// splits words at the colons of kernel specs (COMP_WORDBREAKS).
package complete

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Tag is the struct tag that names the values of a flag or an argument:
// `complete:"scenario"`.
const Tag = "complete"

// Values list the possible values of flags and arguments, by the name in their tags.
// word is the part that was typed so far.
type Values map[string]func(word string) []string

// Words returns the completions of the last word of a command line, which begins with
// the program's name and ends at the cursor. If there are none, the shell may offer
// files.
func Words(app *kong.Application, line string, values Values) []string {
	words := strings.Split(line, " ")
	last := words[len(words)-1]
	at := app.Node
	arguments := 0
	var pending *kong.Flag // whose value comes next
	for _, w := range words[min(1, len(words)-1) : len(words)-1] {
		child := slices.IndexFunc(
			at.Children,
			func(n *kong.Node) bool { return n.Name == w || slices.Contains(n.Aliases, w) },
		)
		switch {
		case w == "":
		case pending != nil:
			pending = nil
		case strings.HasPrefix(w, "-"):
			name, _, whole := strings.Cut(w, "=")
			if f := flag(at, name); f != nil && !f.IsBool() && !whole {
				pending = f
			}
		case child >= 0:
			at, arguments = at.Children[child], 0
		default:
			arguments++
		}
	}
	var out []string
	name, written, inFlag := strings.Cut(last, "=")
	switch {
	case pending != nil:
		out = of(pending.Value, last, values)
	case strings.HasPrefix(last, "-") && inFlag:
		if f := flag(at, name); f != nil {
			for _, v := range of(f.Value, written, values) {
				out = append(out, name+"="+v)
			}
		}
	case strings.HasPrefix(last, "-"):
		for _, f := range flags(at) {
			out = append(out, "--"+f.Name)
		}
	default:
		for _, n := range at.Children {
			if !n.Hidden {
				out = append(out, n.Name)
			}
		}
		if p := positional(at, arguments); p != nil {
			out = append(out, of(p, last, values)...)
		}
	}
	return slices.DeleteFunc(out, func(w string) bool { return w == "" || !strings.HasPrefix(w, last) })
}

// of returns the values of a flag or an argument.
func of(v *kong.Value, word string, values Values) []string {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	if list := values[v.Tag.Get(Tag)]; list != nil {
		return list(word)
	}
	return nil
}

// flags returns the flags that a command accepts, including those of its default
// subcommand.
func flags(n *kong.Node) []*kong.Flag {
	var out []*kong.Flag
	for _, group := range n.AllFlags(true) {
		out = append(out, group...)
	}
	if n.DefaultCmd != nil {
		out = append(out, n.DefaultCmd.Flags...)
	}
	return out
}

func flag(n *kong.Node, name string) *kong.Flag {
	for _, f := range flags(n) {
		if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
			return f
		}
	}
	return nil
}

// positional returns the argument at an index; the last one if it takes several values.
func positional(n *kong.Node, i int) *kong.Positional {
	if last := len(n.Positional) - 1; i > last && last >= 0 && n.Positional[last].IsCumulative() {
		i = last
	}
	if i < len(n.Positional) {
		return n.Positional[i]
	}
	return nil
}
