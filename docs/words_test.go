package docs_test

import (
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// idiom are wordings that a reader of the kernel's Documentation/ or of git's help does
// not expect, with what to write.
var idiom = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\b[Aa]new\b`), "again"},
	{regexp.MustCompile(`\b[Mm]end(s|ed|ing)?\b`), "fix, clear"},
	{regexp.MustCompile(`\b(hold|holds|held) (\S+ ){0,3}against\b`), "compare with, check against"},
	{regexp.MustCompile(`\b[Ss]omebody\b`), "the user, another process"},
	{regexp.MustCompile(`\b[Rr]ig('s)?\b`), "infrastructure, host, infra"},
	{regexp.MustCompile(`\bdoable\b`), "skipped"},
	{regexp.MustCompile(`\bwent bad\b`), "became bad"},
	{regexp.MustCompile(`\bno more than so\b|\bso (many|much) (at|as it)\b`), "at most N"},
	{regexp.MustCompile(`\b(is|are|was|were|be) told\b`), "receives, gets, observes"},
	{regexp.MustCompile(`\b(tells|told) (of|who|whose|what|that|how|why|it|them|nobody|nothing)\b`), "reports, shows, logs"},
	{regexp.MustCompile(`\b(kernel|guest|agent|QEMU|matrix|record|cell|cells|name|error|file|log|line|message|it|user) (says?|said)\b`), "reports, returns, has"},
	{regexp.MustCompile(`\bis over\b|\bwere over\b`), "has ended, is fixed"},
	{regexp.MustCompile(`\b(can|could|can't|cannot) be had\b|\bto be had\b`), "is available"},
	{regexp.MustCompile(`\b[Ww]ho(ever)? (asks|wants|reads|writes|calls|follows|drives|sends|gives|waits|lacks|needs|knows|takes|looks|sees)\b`), "a caller that, anyone who"},
	{regexp.MustCompile(`\b(its|their) words\b|\bin words\b`), "its text, as text"},
}

// names matches ids of scenarios, and words of records and files of older versions.
var names = regexp.MustCompile(`[\w*.-]+/[\w*/.-]+|"(poison-)?mended"|\\?"rig\\?"`)

// ordinary matches uses of these words in their own meaning.
var ordinary = regexp.MustCompile(`[Aa]nyone who|(users?|people|person|developers?|maintainers?|author|one|those) who|#CPU|\brigid`)

// TestWords checks comments, texts and pages for wordings that are not plain
// technical English.
func TestWords(t *testing.T) {
	cmd := exec.Command("git", "ls-files", "*.go", "*.md")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no git tree: %v", err)
	}
	checked := 0
	for _, name := range strings.Fields(string(out)) {
		if strings.Contains(name, "testdata/") || name == "docs/words_test.go" || name == "cmd/faultline/help_test.go" || name == "tools/variants/history.go" || strings.HasPrefix(name, "docs/evidence/") {
			continue // others' texts; lists of these words; subjects whose hashes are recorded; results that are quoted
		}
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		texts := prose(string(data))
		if strings.HasSuffix(name, ".go") {
			texts = commentsAndStrings(data)
		}
		for line, text := range texts {
			checked++
			text = names.ReplaceAllString(text, "")
			for _, i := range idiom {
				if found := i.pattern.FindString(text); found != "" && !ordinary.MatchString(text) {
					t.Errorf("%s:%d: %q; write: %s", name, line, found, i.instead)
				}
			}
		}
	}
	if checked < 10000 {
		t.Errorf("got only %d lines checked, want at least 10000", checked)
	}
}

// prose returns a page's lines by number, without code.
func prose(page string) map[int]string {
	lines, code := map[int]string{}, false
	span := regexp.MustCompile("`[^`]*`")
	for i, l := range strings.Split(page, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			code = !code
		} else if !code {
			lines[i+1] = span.ReplaceAllString(l, "``")
		}
	}
	return lines
}

// commentsAndStrings returns them by line.
func commentsAndStrings(source []byte) map[int]string {
	lines := map[int]string{}
	files := token.NewFileSet()
	var s scanner.Scanner
	file := files.AddFile("", files.Base(), len(source))
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		switch tok {
		case token.EOF:
			return lines
		case token.COMMENT, token.STRING:
			first := file.Line(pos)
			for i, l := range strings.Split(text, "\n") {
				lines[first+i] += l + " "
			}
		}
	}
}

func TestCommentsAndStrings(t *testing.T) {
	got := commentsAndStrings([]byte("package p\n\n// one\nvar a = \"two\" // three\nvar b = `four\nfive`\n"))
	for line, want := range map[int]string{3: "// one ", 4: "\"two\" // three ", 5: "`four ", 6: "five` "} {
		if got[line] != want {
			t.Errorf("line %d: got %q, want %q", line, got[line], want)
		}
	}
	if got := prose("one `code is told`\n```\ntwo\n```\nthree"); len(got) != 2 || got[1] != "one ``" || got[5] != "three" {
		t.Errorf("got %v, want map[1:one `` 5:three]", got)
	}
}
