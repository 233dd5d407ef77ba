package git

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/errkind"
)

// letter is a mail of a mailbox; empty fields have no header line.
type letter struct {
	subject, id, parent, headers, body string
}

func (l letter) String() string {
	var b strings.Builder
	b.WriteString("From mboxrd@z Thu Jan  1 00:00:00 1970\nFrom: A Developer <dev@localhost>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\n")
	for _, h := range [][2]string{{"Subject", l.subject}, {"Message-Id", l.id}, {"In-Reply-To", l.parent}} {
		if h[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", h[0], h[1])
		}
	}
	return b.String() + l.headers + "\n" + l.body + "\n"
}

func mbox(letters ...letter) string {
	var b strings.Builder
	for _, l := range letters {
		b.WriteString(l.String())
	}
	return b.String()
}

// adds returns the body of a patch that adds a word after another one in drivers/f.
func adds(after, word string) string {
	lines := map[string]int{"one": 1, "two": 3, "three": 5, "1": 2}
	at := lines[after]
	return fmt.Sprintf(`Because.
---
 drivers/f | 1 +
 1 file changed, 1 insertion(+)

diff --git a/drivers/f b/drivers/f
--- a/drivers/f
+++ b/drivers/f
@@ -%d,2 +%d,3 @@
 %s
+%s
 .
-- 
2.39.5
`, at, at, after, word)
}

const cover = `What it is about.

---
Changes in v2:
- Link to v1: https://localhost/v1

---
A Developer (2):
      f: One

 drivers/f | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)
---
base-commit: 0123456789abcdef0123456789abcdef01234567

Best regards,
-- 
A
`

func quoted(body string) string {
	return "On Monday, A wrote:\n> " + strings.ReplaceAll(strings.TrimSuffix(body, "\n"), "\n", "\n> ") + "\nLooks good.\n"
}

func encoded(name string, body string) string {
	var b bytes.Buffer
	switch name {
	case "base64":
		text := base64.StdEncoding.EncodeToString([]byte(body))
		for len(text) > 76 {
			b.WriteString(text[:76] + "\n")
			text = text[76:]
		}
		b.WriteString(text + "\n")
	default:
		w := quotedprintable.NewWriter(&b)
		w.Write([]byte(body))
		w.Close()
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

// TestSeries reads mailboxes as written by b4, git and mail archives, and checks what is
// applied, in which order, and what is noted, or why the file is refused.
func TestSeries(t *testing.T) {
	h := newHistory(t)
	h.commit("base", "drivers/f", "one\n.\ntwo\n.\nthree\n.\n", "drivers/latin", "\xc3\xbc\n")
	r := h.repo()
	c0 := letter{"[PATCH 0/2] f: Words", "<0>", "", "", cover}
	p1 := letter{"[PATCH 1/2] f: One", "<1>", "<0>", "", adds("one", "1")}
	p2 := letter{"[PATCH 2/2] f: Two", "<2>", "<0>", "", adds("two", "2")}
	w1 := letter{"[PATCH v2 1/2] f: One", "<v2.1>", "<v2.0>", "", adds("one", "uno")}
	w2 := letter{"[PATCH v2 2/2] f: Two", "<v2.2>", "<v2.0>", "", adds("two", "due")}
	with := func(l letter, subject, id, parent, headers, body string) letter {
		for _, f := range []struct {
			to *string
			is string
		}{{&l.subject, subject}, {&l.id, id}, {&l.parent, parent}, {&l.headers, headers}, {&l.body, body}} {
			if f.is != "" {
				*f.to = f.is
			}
		}
		return l
	}
	const typed = "MIME-Version: 1.0\nContent-Type: text/plain; charset=%s\nContent-Transfer-Encoding: %s\n"
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	plain := adds("one", "1")[strings.Index(adds("one", "1"), "diff --git"):]
	bare := plain[strings.Index(plain, "--- "):]
	parts := "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_x\"\n"
	part := func(headers, body string) string { return "--=_x\n" + headers + "\n" + body + "\n" }
	for _, c := range []struct {
		name, text string
		want       string // drivers/f with spaces
		notes      []string
		refused    string
	}{
		{"a series of b4, with a cover letter that has breaks", mbox(c0, p1, p2), "one 1 two 2 three", nil, ""},
		{"out of order", mbox(with(p2, "", "", "", "", adds("1", "2")), c0, p1), "one 1 2 two three", nil, ""},
		{"a cover letter alone", mbox(c0), "", nil, "contains no patch (cover letters: 1)"},
		{"replies without a diff", mbox(c0, p1, with(p1, "Re: [PATCH 1/2] f: One", "<3>", "<1>", "", quoted(p1.body)), p2), "one 1 two 2 three", nil, ""},
		{"a reply with a diff", mbox(c0, p1, with(p1, "RE: [PATCH 1/2] f: One", "<3>", "<1>", "", adds("three", "3")), p2), "one 1 two 2 three",
			[]string{`"RE: [PATCH 1/2] f: One" is a reply; its diff is not applied`}, ""},
		{"a reply with a diff, without Re:", mbox(p1, letter{"try this", "<3>", "<1>", "", adds("three", "3")}, p2), "one 1 two 2 three", []string{`"try this" answers another mail`}, ""},
		{"another patch as an answer", mbox(p1, letter{"[PATCH] f: Else", "<3>", "<1>", "", adds("three", "3")}, p2), "one 1 two 2 three", []string{`"[PATCH] f: Else" answers a mail of the series: not applied`}, ""},
		{"replies with a diff alone", mbox(with(p1, "Re: Re: [PATCH 1/2] f: One", "", "", "", ""), with(p2, "AW: [PATCH 2/2] f: Two", "", "", "", "")), "", nil,
			`contains no patch ("Re: Re: [PATCH 1/2] f: One" is a reply; its diff is not applied; "AW:`},
		{"a cover letter with a diff", mbox(with(c0, "", "", "", "", adds("three", "3")), p1, p2), "one 1 two 2 three", []string{"is a cover letter; its diff is not applied"}, ""},
		{"two versions in one thread", mbox(c0, p1, p2, w1, w2), "one uno two due three",
			[]string{`"[PATCH 1/2] f: One" is of v1, but the file has v2`, `"[PATCH 2/2] f: Two" is of v1, but the file has v2`}, ""},
		{"the later version first", mbox(w2, w1, p1, p2), "one uno two due three", []string{"f: One", "f: Two"}, ""},
		{"ten versions", mbox(with(p1, "[PATCH v9] f: One", "", "", "", ""), with(w1, "[RFC PATCHv10] f: One", "", "", "", "")), "one uno two three", []string{"is of v9, but the file has v10"}, ""},
		{"one patch sent again", mbox(p1, p2, with(w2, "", "", "<2>", "", "")), "one 1 two due three", []string{`"[PATCH 1/2] f: One" is applied, though of v1: v2 has only other patches of the series`, `"[PATCH 2/2] f: Two" is of v1, but the file has v2`}, ""},
		{"two series of different versions", mbox(p1, p2, with(w1, "[PATCH v2] g: Else", "", "", "", "")), "", nil, "not an earlier version of the same series"},
		{"two series of one version", mbox(p1, p2, with(p1, "[PATCH 1/3] g: Else", "<7>", "", "", adds("three", "3"))), "", nil, "patches of two series"},
		{"two patches with one number", mbox(p1, with(p1, "[PATCH 1/2] g: Else", "<7>", "", "", adds("three", "3"))), "", nil, "two different patches 1/2"},
		{"a patch besides the series", mbox(p1, p2, letter{"[PATCH] g: Else", "<7>", "", "", adds("three", "3")}), "", nil, "a series and an unrelated patch"},
		{"copies", mbox(p1, p2, p1, with(p2, "", "<2.again>", "", "", "")), "one 1 two 2 three", []string{`"[PATCH 1/2] f: One" occurs twice`, "f: Two"}, ""},
		{"copies without numbers, with a list's footer", mbox(with(p1, "[PATCH] f: One", "", "", "", ""), with(p1, "[PATCH] f: One", "", "", "", adds("one", "1")+"_____\nlist@localhost\n")), "one 1 two three", []string{"occurs twice"}, ""},
		{"a part of a series", mbox(p2), "one two 2 three", []string{"has 1 of the 2 patches of the series: 2/2"}, ""},
		{"without numbers, in the file's order", mbox(letter{"f: One", "", "", "", adds("one", "1")}, letter{"f: Two", "", "", "", adds("1", "2")}), "one 1 2 two three", nil, ""},
		{"patchwork's marks", mbox(with(w2, "[v2,2/2,next] f: Two", "", "", "", ""), with(w1, "[net-next,v2,1/2] f: One", "", "", "", "")), "one uno two due three", nil, ""},
		{"an encoded subject", mbox(with(p1, "=?utf-8?B?W1BBVENIIDEvMl0gZjogw7xiZXI=?=", "", "", "", ""), p2), "one 1 two 2 three", nil, ""},
		{"a numbered mail without its diff", mbox(p1, with(p2, "", "", "", "", "See the attachment.\n")), "", nil, `has "[PATCH 2/2] f: Two" without a diff; give the whole patch`},
		{"an answer under the patch's own subject", mbox(p1, with(p1, "", "<3>", "<1>", "", quoted(p1.body)), p2), "one 1 two 2 three", nil, ""},
		{"a pull request", mbox(letter{"[GIT PULL] f for 7.3", "", "", "", cover}), "", nil, "other mails without a diff: 1"},

		{"gzip", zipped(mbox(c0, p1, p2)), "one 1 two 2 three", nil, ""},
		{"gzip, cut off", zipped(mbox(c0, p1, p2))[:200], "", nil, "damaged or truncated"},
		{"a plain diff in gzip", zipped(plain), "one 1 two three", nil, ""},
		{"base64", mbox(with(p1, "", "", "", fmt.Sprintf(typed, "utf-8", "base64"), encoded("base64", p1.body))), "one 1 two three", []string{"has 1 of the 2"}, ""},
		{"base64 with carriage returns", mbox(with(p1, "", "", "", fmt.Sprintf(typed, "utf-8", "base64"), encoded("base64", crlf(p1.body)))), "one 1 two three", []string{"has 1 of the 2"}, ""},
		{"base64, damaged", mbox(with(p1, "", "", "", fmt.Sprintf(typed, "utf-8", "base64"), "%%%\n")), "", nil, "read mail 1: its base64"},
		{"quoted-printable", mbox(with(p1, "", "", "", fmt.Sprintf(typed, "utf-8", "quoted-printable"), encoded("qp", p1.body))), "one 1 two three", []string{"has 1 of the 2"}, ""},
		{"another character set", mbox(letter{"[PATCH] f: ü", "", "", fmt.Sprintf(typed, "iso-8859-1", "8bit"), "--- a/drivers/latin\n+++ b/drivers/latin\n@@ -1 +1,2 @@\n \xfc\n+u\n"}), "one two three", nil, ""},
		{"carriage returns", crlf(mbox(c0, p1, p2)), "one 1 two 2 three", nil, ""},
		{"carriage returns in a plain diff", crlf(plain), "one 1 two three", nil, ""},
		{"an attachment", mbox(letter{"f: One", "", "", parts, part("Content-Type: text/plain\n", "See below.") + part("Content-Type: application/octet-stream; name=1.patch\nContent-Transfer-Encoding: base64\n", encoded("base64", plain)) + "--=_x--\n"}), "one 1 two three", nil, ""},
		{"an attachment beside HTML", mbox(letter{"f: One", "", "", parts, part("Content-Type: text/html\n", "<pre>"+plain+"</pre>") + part("Content-Type: text/x-patch; name=1.patch\n", plain) + "--=_x--\n"}), "one 1 two three", nil, ""},
		{"HTML alone", mbox(letter{"[PATCH] f: One", "", "", "Content-Type: text/html\n", "<pre>\n" + plain + "</pre>"}), "", nil, `"[PATCH] f: One" has no diff: it has only an HTML part`},
		{"a compressed attachment", mbox(letter{"[PATCH 1/1] f: One", "", "", parts, part("Content-Type: application/gzip\nContent-Transfer-Encoding: base64\n", encoded("base64", zipped(plain))) + "--=_x--\n"}), "", nil, "without a diff: its attachment is compressed"},
		{"escaped and unescaped From", mbox(with(p1, "[PATCH] f: One", "", "", "", ">From here on.\nFrom then on, too.\n"+p1.body)), "one 1 two three", nil, ""},
		{"one mail without an mbox's line", strings.TrimPrefix(mbox(with(p1, "[PATCH] f: One", "", "", "", "")), "From mboxrd@z Thu Jan  1 00:00:00 1970\n"), "one 1 two three", nil, ""},
		{"empty lines and a byte order mark in front", "\ufeff\r\n\n" + mbox(with(p1, "[PATCH] f: One", "", "", "", "")), "one 1 two three", nil, ""},

		{"no folder to strip", strings.NewReplacer(" a/", " ", " b/", " ").Replace(plain), "one 1 two three", nil, ""},
		{"no folder to strip, without git's header line", strings.NewReplacer(" a/", " ", " b/", " ").Replace(bare), "one 1 two three", nil, ""},
		{"folders of two trees", strings.NewReplacer(" a/", " linux-6.1.orig/", " b/", " linux-6.1/").Replace(bare), "one 1 two three", nil, ""},
		{"two folders to strip", strings.NewReplacer(" a/", " a/src/", " b/", " b/src/").Replace(strings.NewReplacer("a/", "old/", "b/", "new/").Replace(bare)), "one 1 two three", nil, ""},
		{"text in front of a plain diff", "Index: drivers/f\n=======\nDescription: words\n" + bare, "one 1 two three", nil, ""},
		{"a diff of quilt with a header", "From: A <a@localhost>\nSubject: f: One\n\nWords.\n---\n" + bare, "one 1 two three", nil, ""},
		{"names with times", strings.NewReplacer("a/drivers/f\n", "a/drivers/f\t2026-11-02 10:00:00\n").Replace(bare), "one 1 two three", nil, ""},

		{"format=flowed, unharmed", mbox(letter{"[PATCH] f: One", "", "", "Content-Type: text/plain; format=flowed\n", p1.body}), "one 1 two three", nil, ""},
		{"format=flowed, with spaces added", mbox(letter{"[PATCH] f: One", "", "", "Content-Type: text/plain; format=flowed\n", strings.ReplaceAll(p1.body, "\n one", "\n  one")}), "", nil, "does not apply: drivers/f @@ -1,2 +1,3 @@; its mail is format=flowed"},
		{"wrapped lines", mbox(letter{"[PATCH] f: One", "", "", "", strings.ReplaceAll(p1.body, "\n one", "\n\no\nne")}), "", nil, "the diff is truncated, or a mailer wrapped or trimmed its lines"},
		{"cut off", strings.TrimSuffix(plain, " .\n-- \n2.39.5\n"), "", nil, "the diff is truncated"},
		{"the combined diff of a merge", "diff --cc f\n--- a/f\n+++ b/f\n@@@ -1,1 -1,1 +1,1 @@@\n- one\n -two\n++three\n", "", nil, "its hunks begin with @@@: git does not apply the combined diff of a merge"},
		{"a context diff", "*** drivers/f\n--- drivers/f\n***************\n*** 1 ****\n", "", nil, "is a context diff; give a unified one: diff -u"},
		{"git log -p", "commit " + strings.Repeat("1", 40) + "\n\n    f: Two\n\n" + plain + "\ncommit " + strings.Repeat("2", 40) + "\n\n    f: One\n\n" + plain, "", nil, "several commits as printed by git log -p"},
		{"git show", "commit " + strings.Repeat("1", 40) + "\nAuthor: A\n\n    f: One\n\n" + plain, "one 1 two three", nil, ""},
		{"xz", "\xfd7zXZ\x00\x00", "", nil, "is compressed; unpack it first: xz -d"},
		{"a bundle", "# v2 git bundle\n", "", nil, "is a git bundle"},
		{"a web page", "<!DOCTYPE html>\n<html>", "", nil, "is a web page; give the mail itself"},
		{"UTF-16", "\xff\xfed\x00", "", nil, "is UTF-16 text"},
		{"words", "Dear all,\n\nplease apply.\n", "", nil, "it is neither a mail nor a diff"},
		{"nothing", "", "", nil, "it is neither a mail nor a diff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := r.Apply(t.Context(), h.git("rev-parse", "HEAD^{tree}"), []Edit{{File: h.file("s.mbox", c.text)}})
			if c.refused != "" {
				if errkind.Of(err) != errkind.Request || err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got error %v, %+v; want %q", err, got, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.Output(t.Context(), nil, nil, "cat-file", "blob", got.Tree+":drivers/f")
			if is := strings.Join(strings.Fields(strings.ReplaceAll(string(text), ".", "")), " "); err != nil || is != c.want {
				t.Errorf("got %q, error %v; want %q", is, err, c.want)
			}
			same := slices.EqualFunc(got.Notes, c.notes, func(n, want string) bool { return strings.HasPrefix(n, "s.mbox: ") && strings.Contains(n, want) })
			if !same {
				t.Errorf("got notes %q, want %q", got.Notes, c.notes)
			}
		})
	}
}

// TestNewFileWithoutPrefix checks that a new file is created at the path in the diff, in
// a folder that the tree has.
func TestNewFileWithoutPrefix(t *testing.T) {
	h := newHistory(t)
	h.commit("base", "drivers/dax/f", "1\n", "kernel/f", "1\n")
	r := h.repo()
	for name, want := range map[string]string{
		"drivers/dax/new.c": "drivers/dax/new.c", "b/drivers/dax/new.c": "drivers/dax/new.c", "linux/drivers/dax/new.c": "drivers/dax/new.c",
		"b/rust/kernel/new.rs": "rust/kernel/new.rs", "b/new/folder/f": "new/folder/f", "b/README": "README",
	} {
		diff := "--- /dev/null\n+++ " + name + "\n@@ -0,0 +1 @@\n+new\n"
		tree := h.git("rev-parse", "HEAD^{tree}")
		got, err := r.Apply(t.Context(), tree, []Edit{{File: h.file("new.diff", diff)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if files, err := r.Differ(t.Context(), tree, got.Tree); err != nil || !slices.Equal(files, []string{want}) {
			t.Errorf("%s: got %q, error %v; want %s", name, files, err, want)
		}
	}
}

// TestSubjects checks what is parsed from a subject.
func TestSubjects(t *testing.T) {
	for subject, want := range map[string]message{
		"[PATCH] a: b":                          {subject: "a: b", marked: true, version: version{major: 1}},
		"Re: [PATCH v3 2/13] a: [b] c":          {subject: "a: [b] c", marked: true, reply: true, version: version{major: 3}, number: 2, total: 13},
		"[PATCH 6.1.y v2 02/10] a":              {subject: "a", marked: true, version: version{major: 2}, number: 2, total: 10},
		"[RFC] [PATCHv4 0/1] a":                 {subject: "a", marked: true, version: version{major: 4}, total: 1},
		"fwd: RE[2]: [PATCH RESEND] a":          {subject: "a", marked: true, reply: true, version: version{major: 1}},
		"[net-next,v2,1/2] a":                   {subject: "a", marked: true, version: version{major: 2}, number: 1, total: 2},
		"[syzbot] [mm?] WARNING in v2 1/2":      {subject: "WARNING in v2 1/2", version: version{major: 1}},
		"reply: a":                              {subject: "reply: a", version: version{major: 1}},
		"[PATCH v99999999999999999999999/1] x]": {subject: "x]", marked: true, version: version{major: 1}},
		"":                                      {version: version{major: 1}},
	} {
		want.title = subject
		got := newMessage(map[string][]string{"Subject": {subject}})
		if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%q: got %+v, want %+v", subject, *got, want)
		}
	}
}

// FuzzFile checks that any file is either accepted or refused with a request error.
func FuzzFile(f *testing.F) {
	f.Add([]byte(mbox(letter{"[PATCH 1/1] f", "<1>", "", "", adds("one", "1")})))
	f.Add([]byte(adds("one", "1")))
	f.Add([]byte("Subject: x\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a--\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		patches, _, err := choose("f", []*message{m, m})
		if err != nil && errkind.Of(err) != errkind.Request || err == nil && len(patches) == 0 {
			t.Errorf("got %d patches, error %v; want patches, or a request error", len(patches), err)
		}
	})
}

// TestFolderOfPatches checks that a folder is refused, and that no file is left in ours.
func TestFolderOfPatches(t *testing.T) {
	h := newHistory(t)
	h.commit("base", "f", "1\n")
	r := h.repo()
	for path, want := range map[string]string{t.TempDir(): "is a folder; give the patch files", filepath.Join(t.TempDir(), "none"): "no such file"} {
		if _, err := r.Apply(t.Context(), h.git("rev-parse", "HEAD^{tree}"), []Edit{{File: path}}); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a request error with %q", err, want)
		}
	}
	left, err := os.ReadDir(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if regexp.MustCompile(`^(apply|mails)-`).MatchString(e.Name()) {
			t.Errorf("got %s left behind, want none", e.Name())
		}
	}
}
