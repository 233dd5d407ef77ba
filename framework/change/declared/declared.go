// Package declared reads the files in which a user declares changes that Faultline does
// not know, with their effects on user space. It does not judge any kernel.
package declared

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/limitread"
	"github.com/faultline/faultline/internal/suggest"
	"github.com/faultline/faultline/internal/yamlfile"
	"github.com/faultline/faultline/kernels/upstream"
)

// File is a file of changes.
type File struct {
	Changes change.List

	globs []glob
}

// glob is a pattern of scenario ids and its position in the file.
type glob struct{ text, pos string }

// Load reads a file. Its errors are request errors with the file, the line and the
// column.
func Load(name string) (*File, error) {
	data, err := yamlfile.ReadFile(name)
	var large *limitread.Error
	switch {
	case errors.As(err, &large):
		return nil, errkind.Requestf("read the changes: %w; split the file", err)
	case err != nil:
		return nil, errkind.Requestf("read the changes in %s: %w; give a readable file", name, errors.Unwrap(err))
	}
	return Parse(name, data)
}

// CheckScenarios returns an error for a glob that matches none of the scenarios.
func (f *File) CheckScenarios(ids []string) error {
	for _, g := range f.globs {
		if slices.ContainsFunc(ids, func(id string) bool { return change.Matches(g.text, id) }) {
			continue
		}
		did := ""
		if n := suggest.Names(g.text, ids); len(n) > 0 {
			did = "did you mean " + suggest.Quoted(n, "or") + "? "
		}
		return errkind.Requestf(
			"%s: %q matches no scenario; %sa * matches within one part of an id; faultline list prints the ids",
			g.pos,
			g.text,
			did,
		)
	}
	return nil
}

// Hints on the form of a file's parts.
const (
	fileShape   = `write "changes:" and below it a list of changes such as "- id: my_change"`
	changeShape = "give a change id, subject, effect and shows; commit, since, stable and moves are optional"
	stableShape = `write the first stable update of each series that has it as "stable: [6.14.3, 6.12.24]", or leave it out`
	showShape   = `write it as "- {scenarios: dax/*/shared-read, before: SIGBUS BUS_ADRERR, after: SIGBUS BUS_MCEERR_AR lsb=12}"`
	moveShape   = `write it as "- {witness: HardwareCorrupted, before: 0 kB, after: 4 kB}"`
)

// Parse is Load for a file's content.
func Parse(name string, data []byte) (*File, error) {
	p := changeParser{File: yamlfile.File{Name: name, Fail: func(at, problem, hint string, cause error) error {
		if cause != nil {
			return errkind.Requestf("%s: %s: %w; %s", at, problem, cause, hint)
		}
		return errkind.Requestf("%s: %s; %s", at, problem, hint)
	}}}
	body, err := p.Body(data, "the file of changes", fileShape)
	if err != nil {
		return nil, err
	}
	var list []ast.Node
	err = p.Mapping(
		body,
		"the file of changes",
		fileShape,
		[]string{"changes"},
		func(_ string, v *ast.MappingValueNode) (err error) {
			list, err = p.List(v, fileShape)
			return err
		},
	)
	if err != nil {
		return nil, err
	}
	if list == nil {
		return nil, p.Refuse(yamlfile.Begin(body), `key "changes" is missing`, fileShape)
	}
	for _, n := range list {
		c, err := p.change(n)
		if err != nil {
			return nil, err
		}
		p.out.Changes = append(p.out.Changes, c)
	}
	return &p.out, nil
}

type changeParser struct {
	yamlfile.File
	out File
}

var (
	idForm     = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	commitForm = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
)

func (p *changeParser) change(n ast.Node) (c change.Change, err error) {
	keys := []string{"id", "commit", "subject", "since", "stable", "effect", "shows", "moves"}
	err = p.Mapping(n, "the change", changeShape, keys, func(key string, v *ast.MappingValueNode) (err error) {
		switch key {
		case "shows":
			c.Steps, err = entries(p, v, showShape, p.show)
		case "stable":
			c.Stable, err = entries(p, v, stableShape, p.update)
		case "moves":
			c.Witnesses, err = entries(p, v, moveShape, p.move)
		default:
			var s string
			if s, err = p.Text(v, false); err == nil {
				err = p.word(&c, key, s, v)
			}
		}
		return err
	})
	if err != nil {
		return c, err
	}
	if err := p.stable(n, c); err != nil {
		return c, err
	}
	for _, need := range []struct {
		key   string
		there bool
	}{{"id", c.ID != ""}, {"subject", c.Subject != ""}, {"effect", c.Effect != ""}, {"shows", c.Steps != nil}} {
		if !need.there {
			return c, p.lacks(n, "change", need.key, changeShape)
		}
	}
	return c, nil
}

// word sets a text of a change.
func (p *changeParser) word(c *change.Change, key, s string, v *ast.MappingValueNode) error {
	at := yamlfile.Begin(v.Value)
	switch key {
	case "id":
		known := change.All().IDs()
		switch {
		case !idForm.MatchString(s):
			return p.Refuse(
				at,
				fmt.Sprintf("the id %q has other characters than lower case letters, digits and _", s),
				`write it as "my_change"`,
			)
		case slices.Contains(known, s):
			return p.Refuse(
				at,
				fmt.Sprintf("Faultline already knows a change %q", s),
				"give yours another id, or leave it out: known changes need no file",
			)
		case slices.Contains(p.out.Changes.IDs(), s):
			return p.Refuse(at, fmt.Sprintf("duplicate change %q", s), "remove one, or give it another id")
		}
		c.ID = s
	case "commit":
		if !commitForm.MatchString(s) {
			return p.Refuse(
				at,
				fmt.Sprintf("the commit %q is not 7 to 40 hexadecimal digits", s),
				"give the upstream commit's hash, or leave it out",
			)
		}
		c.Commit = s
	case "since":
		if _, err := upstream.ParseRelease(s); err != nil {
			return p.Refuse(
				at,
				fmt.Sprintf("since is %q, not a release", s),
				`write the first upstream release with it as "v6.5", or leave it out`,
			)
		}
		c.Since = s
	case "subject":
		c.Subject = s
	case "effect":
		c.Effect = s
	}
	return nil
}

// entries reads the list of a key.
func entries[T comparable](
	p *changeParser,
	v *ast.MappingValueNode,
	shape string,
	read func(ast.Node) (T, error),
) ([]T, error) {
	list, err := p.List(v, shape)
	if err != nil {
		return nil, err
	}
	var out []T
	for _, n := range list {
		e, err := read(n)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, e) {
			return nil, p.Refuse(yamlfile.Begin(n), "duplicate entry", "remove one")
		}
		out = append(out, e)
	}
	return out, nil
}

// update reads a stable update that brought a change.
func (p *changeParser) update(n ast.Node) (string, error) {
	s, ok := yamlfile.Text(n)
	if _, err := upstream.ParseUpdate(s); !ok || err != nil {
		return "", p.Refuse(yamlfile.Begin(n), "stable has an entry that is not a stable update", stableShape)
	}
	return s, nil
}

// stable rejects updates of series that have the change anyway, and duplicate series.
func (p *changeParser) stable(n ast.Node, c change.Change) error {
	seen := map[upstream.Release]bool{}
	since, err := upstream.ParseRelease(c.Since)
	for _, s := range c.Stable {
		v, _ := upstream.ParseUpdate(s)
		series := upstream.Release{Major: v.Major, Minor: v.Minor}
		switch {
		case err == nil && series.AtLeast(since):
			return p.Refuse(
				yamlfile.Begin(n),
				fmt.Sprintf("stable has %s, but that series has the change since %s", s, c.Since),
				stableShape,
			)
		case seen[series]:
			return p.Refuse(yamlfile.Begin(n), fmt.Sprintf("stable has two updates of the series of %s", s), stableShape)
		}
		seen[series] = true
	}
	return nil
}

func (p *changeParser) show(n ast.Node) (s change.StepEffect, err error) {
	sides := map[string]string{}
	err = p.Mapping(
		n,
		"an entry of shows",
		showShape,
		[]string{"scenarios", "step", "before", "after"},
		func(key string, v *ast.MappingValueNode) (err error) {
			switch key {
			case "scenarios":
				s.Scenarios, err = p.glob(v)
			case "step":
				s.Step, err = p.step(v)
			default:
				sides[key], err = p.Text(v, false)
			}
			return err
		},
	)
	if err == nil && s.Scenarios == "" {
		err = p.lacks(n, "entry", "scenarios", showShape)
	}
	if err == nil {
		err = p.differ(n, sides, showShape)
	}
	s.Before, s.After = sides["before"], sides["after"]
	return s, err
}

func (p *changeParser) move(n ast.Node) (m change.WitnessEffect, err error) {
	sides := map[string]string{}
	err = p.Mapping(
		n,
		"an entry of moves",
		moveShape,
		[]string{"scenarios", "witness", "before", "after"},
		func(key string, v *ast.MappingValueNode) (err error) {
			switch key {
			case "scenarios":
				m.Scenarios, err = p.glob(v)
			case "witness":
				m.Witness, err = p.Text(v, false)
			default:
				sides[key], err = p.Text(v, true)
			}
			return err
		},
	)
	if err == nil && m.Witness == "" {
		err = p.lacks(n, "entry", "witness", moveShape)
	}
	if err == nil {
		err = p.differ(n, sides, moveShape)
	}
	m.Before, m.After = sides["before"], sides["after"]
	return m, err
}

// differ requires both sides, and that they differ.
func (p *changeParser) differ(n ast.Node, sides map[string]string, shape string) error {
	for _, key := range []string{"before", "after"} {
		if _, ok := sides[key]; !ok {
			return p.lacks(n, "entry", key, shape)
		}
	}
	if sides["before"] == sides["after"] {
		return p.Refuse(
			yamlfile.Begin(n),
			"before and after are the same, so the change cannot be seen",
			"give what is seen without it and with it",
		)
	}
	return nil
}

func (p *changeParser) glob(v *ast.MappingValueNode) (string, error) {
	s, err := p.Text(v, false)
	if err != nil {
		return "", err
	}
	at := yamlfile.Begin(v.Value)
	if _, err := path.Match(s, ""); err != nil {
		return "", p.Refuse(
			at,
			fmt.Sprintf("%q is not a pattern of scenario ids", s),
			"write an id, in which a * matches anything within one part",
		)
	}
	p.out.globs = append(p.out.globs, glob{s, p.Pos(at)})
	return s, nil
}

// step reads a step's number, from 1 as in the report.
func (p *changeParser) step(v *ast.MappingValueNode) (int, error) {
	if n, ok := v.Value.(*ast.IntegerNode); ok {
		if i, ok := n.Value.(uint64); ok && i > 0 && i < 1000 {
			return int(i), nil
		}
	}
	return 0, p.Refuse(
		yamlfile.Begin(v.Value),
		"step is not a number from 1 to 999",
		"write the number of the scenario's step, as in the report",
	)
}

func (p *changeParser) lacks(n ast.Node, what, key, shape string) error {
	return p.Refuse(yamlfile.Begin(n), fmt.Sprintf("the %s has no %q", what, key), shape)
}
