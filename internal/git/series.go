package git

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/faultline/faultline/internal/errkind"
)

// message is a mail of a series or of its thread.
type message struct {
	title   string // the whole subject
	subject string // the subject without "Re:" and bracketed prefixes
	reply   bool
	marked  bool // has a prefix such as [PATCH …]
	version version
	// number and total are "2/3" in the prefix; total is 0 if it has none.
	number, total int
	id, parent    string // Message-Id, and In-Reply-To

	diff    []byte // nil if it has none
	without string // why it has no diff, if known
	flowed  bool   // format=flowed (RFC 3676)
}

// version is the version of a series: v2, or v2.1 for one patch of it that was resent.
// The default is v1.
type version struct{ major, minor int }

func (v version) String() string {
	if v.minor == 0 {
		return fmt.Sprintf("v%d", v.major)
	}
	return fmt.Sprintf("v%d.%d", v.major, v.minor)
}

func (v version) compare(w version) int {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor))
}

var (
	reReply   = regexp.MustCompile(`(?i)^(?:re|aw|sv|antw|fwd?|fw)(?:\[\d+\])?: *`)
	reMark    = regexp.MustCompile(`^\[([^][]*)\] *`)
	reVersion = regexp.MustCompile(`(?i)^(?:patch-?)?v(\d+)(?:\.(\d+))?$`)
	reNumber  = regexp.MustCompile(`^(\d+)/(\d+)$`)
	reOf      = regexp.MustCompile(`\b(\d+) of (\d+)\b`) // Mercurial's
	reID      = regexp.MustCompile(`<[^<>]+>`)
)

func newMessage(h mail.Header) *message {
	words := mime.WordDecoder{CharsetReader: func(charset string, in io.Reader) (io.Reader, error) {
		e, err := htmlindex.Get(charset)
		if err != nil {
			return nil, err
		}
		return e.NewDecoder().Reader(in), nil
	}}
	m := &message{title: h.Get("Subject"), version: version{major: 1}}
	m.id, m.parent = reID.FindString(h.Get("Message-Id")), reID.FindString(h.Get("In-Reply-To"))
	if decoded, err := words.DecodeHeader(m.title); err == nil {
		m.title = decoded
	}
	m.title = strings.Join(strings.Fields(m.title), " ")
	rest := m.title
	for reReply.MatchString(rest) {
		m.reply, rest = true, rest[len(reReply.FindString(rest)):]
	}
	for {
		mark := reMark.FindStringSubmatch(rest)
		if mark == nil {
			break
		}
		rest = rest[len(mark[0]):]
		m.mark(mark[1])
	}
	m.subject = rest
	return m
}

// mark parses the content of a pair of brackets: "PATCH net-next v3 2/5", "v3,2/5".
func (m *message) mark(text string) {
	text = reOf.ReplaceAllString(text, "$1/$2")
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		m.marked = m.marked || strings.HasPrefix(strings.ToUpper(word), "PATCH")
		if v := reVersion.FindStringSubmatch(word); v != nil {
			m.version.major, _ = strconv.Atoi(v[1])
			m.version.minor, _ = strconv.Atoi(v[2])
		}
		if n := reNumber.FindStringSubmatch(word); n != nil {
			m.number, _ = strconv.Atoi(n[1])
			m.total, _ = strconv.Atoi(n[2])
			m.marked = true
		}
	}
}

// cover reports whether the mail is a cover letter.
func (m *message) cover() bool { return m.total > 0 && m.number == 0 }

// place returns its position in the series: "2/3".
func (m *message) place() string { return fmt.Sprintf("%d/%d", m.number, m.total) }

// choose returns the patches of one series from the mails of a thread, in order, and
// notes about what is left out. It refuses what is ambiguous.
func choose(path string, all []*message) ([]Patch, []string, error) {
	c := choice{path: path, name: filepath.Base(path), byID: map[string]*message{}}
	for _, m := range all {
		if m.id != "" && c.byID[m.id] == nil {
			c.byID[m.id] = m
		}
	}
	if err := c.sort(all); err != nil {
		return nil, nil, err
	}
	for _, part := range []func() error{c.newest, c.aside, c.duplicates, c.order} {
		if err := part(); err != nil {
			return nil, nil, err
		}
	}
	var out []Patch
	for _, m := range c.patches {
		p := Patch{From: c.name, Subject: m.subject, diff: m.diff}
		if m.flowed {
			p.hint = "its mail is format=flowed, for which mailers wrap lines and add spaces: " +
				"give the original file of git format-patch"
		}
		out = append(out, p)
	}
	return out, c.notes, nil
}

type choice struct {
	path, name string
	byID       map[string]*message
	patches    []*message
	notes      []string
}

func (c *choice) note(format string, args ...any) {
	c.notes = append(c.notes, c.name+": "+fmt.Sprintf(format, args...))
}

func (c *choice) refuse(format string, args ...any) error {
	return errkind.Requestf("%s %s", c.path, fmt.Sprintf(format, args...))
}

// sort separates patches from cover letters, replies and other mails.
func (c *choice) sort(all []*message) error {
	marked := slices.ContainsFunc(all, func(m *message) bool { return m.marked && !m.reply && m.diff != nil })
	covers, replies, others := 0, 0, 0
	for _, m := range all {
		switch {
		case m.diff == nil && (m.reply || c.samePlace(m)):
			replies++
			if m.reply && m.without != "" {
				c.note("%q has no diff: %s", m.title, m.without)
			}
		case m.diff == nil && m.number > 0:
			return c.refuse("has %q without a diff%s; give the whole patch", m.title, because(m.without))
		case m.diff == nil && m.cover():
			covers++
		case m.diff == nil:
			others++
			if m.without != "" || m.marked {
				c.note("%q has no diff%s", m.title, because(m.without))
			}
		case m.reply:
			c.note("%q is a reply; its diff is not applied", m.title)
		case m.cover():
			c.note("%q is a cover letter; its diff is not applied", m.title)
		case marked && !m.marked && c.byID[m.parent] != nil:
			c.note("%q answers another mail; its diff is not applied", m.title)
		default:
			c.patches = append(c.patches, m)
		}
	}
	if len(c.patches) > 0 {
		return nil
	}
	var has []string
	for _, k := range []struct {
		n    int
		what string
	}{{covers, "cover letters"}, {replies, "replies without a diff"}, {others, "other mails without a diff"}} {
		if k.n > 0 {
			has = append(has, fmt.Sprintf("%s: %d", k.what, k.n))
		}
	}
	for _, n := range c.notes {
		has = append(has, strings.TrimPrefix(n, c.name+": "))
	}
	return c.refuse("contains no patch (%s); %s", strings.Join(has, "; "), giveSeries)
}

// samePlace reports whether a mail answers another one that has the same number in the
// series, such as one with the same subject but without "Re:".
func (c *choice) samePlace(m *message) bool {
	before := c.byID[m.parent]
	return before != nil && before.number == m.number && before.total == m.total
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// newest keeps only the last version of a series. If only some patches were resent, as
// answers to those that they replace, the others come from the previous version.
func (c *choice) newest() error {
	last := slices.MaxFunc(c.patches, func(a, b *message) int { return a.version.compare(b.version) }).version
	var chosen, older []*message
	for _, m := range c.patches {
		if m.version == last {
			chosen = append(chosen, m)
		} else {
			older = append(older, m)
		}
	}
	if len(older) == 0 {
		return nil
	}
	if !c.sameSeries(last) {
		return c.refuse("has patches of %s and others that are not an earlier version of the same series, such as %q; "+
			"give each series in its own file", last, older[0].title)
	}
	again := !slices.ContainsFunc(chosen, func(m *message) bool {
		return !c.samePlace(m) || c.byID[m.parent].version.compare(last) >= 0 || m.total == 0
	})
	for _, m := range older {
		there := slices.ContainsFunc(chosen, func(n *message) bool { return n.number == m.number && n.total == m.total })
		switch {
		case again && m.version == c.byID[chosen[0].parent].version && !there:
			chosen = append(chosen, m)
			c.note("%q is applied, though of %s: %s has only other patches of the series", m.title, m.version, last)
		default:
			c.note("%q is of %s, but the file has %s: not applied", m.title, m.version, last)
		}
	}
	c.patches = chosen
	return nil
}

// sameSeries reports whether each earlier version shares a subject, of a patch or of the
// cover letter, with the last one.
func (c *choice) sameSeries(last version) bool {
	subjects := map[version]map[string]bool{}
	for _, m := range c.patches {
		if subjects[m.version] == nil {
			subjects[m.version] = map[string]bool{}
		}
		subjects[m.version][m.subject] = true
	}
	for _, m := range c.byID {
		if m.cover() && !m.reply && subjects[m.version] != nil {
			subjects[m.version][m.subject] = true
		}
	}
	for _, of := range subjects {
		common := false
		for s := range of {
			common = common || subjects[last][s]
		}
		if !common {
			return false
		}
	}
	return true
}

// aside drops patches without a number that answer a mail of a numbered series.
func (c *choice) aside() error {
	numbered := slices.ContainsFunc(c.patches, func(m *message) bool { return m.total > 0 })
	var left []*message
	for _, m := range c.patches {
		switch {
		case !numbered || m.total > 0:
			left = append(left, m)
		case c.byID[m.parent] == nil:
			return c.refuse("has a series and an unrelated patch, %q; give each in its own file", m.title)
		default:
			c.note("%q answers a mail of the series: not applied", m.title)
		}
	}
	c.patches = left
	return nil
}

// duplicates keeps one of several copies, and refuses two different patches with the
// same number.
func (c *choice) duplicates() error {
	var left []*message
	for _, m := range c.patches {
		same := func(n *message) bool {
			return m.total == 0 && n.id == m.id && m.id != "" ||
				n.number == m.number && n.total == m.total && bytes.Equal(n.diff, m.diff)
		}
		place := func(n *message) bool { return m.total > 0 && n.number == m.number && n.total == m.total }
		switch {
		case slices.ContainsFunc(left, same):
			c.note("%q occurs twice: applied once", m.title)
		case slices.ContainsFunc(left, place):
			return c.refuse("has two different patches %s, the second is %q; give each series in its own file",
				m.place(), m.title)
		case len(left) > 0 && left[0].total != m.total:
			return c.refuse("has patches of two series, %q and %q; give each series in its own file",
				left[0].title, m.title)
		default:
			left = append(left, m)
		}
	}
	c.patches = left
	return nil
}

// order sorts a series by number, and notes if it is incomplete.
func (c *choice) order() error {
	slices.SortStableFunc(c.patches, func(a, b *message) int { return cmp.Compare(a.number, b.number) })
	total := c.patches[0].total
	if total == 0 || len(c.patches) >= total {
		return nil
	}
	var has []string
	for _, m := range c.patches {
		has = append(has, m.place())
	}
	c.note("has %d of the %d patches of the series: %s", len(c.patches), total, strings.Join(has, ", "))
	return nil
}
