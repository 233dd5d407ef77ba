package git

import (
	"archive/tar"
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/internal/errkind"
)

// TestForms reads patches in more formats: each is applied as intended, or refused with
// the name of its format.
func TestForms(t *testing.T) {
	h := newHistory(t)
	h.commit("base", "drivers/f", "one\n.\ntwo\n.\nthree\n.\n")
	r := h.repo()
	one := letter{"[PATCH] f: One", "<1>", "", "", adds("one", "1")}
	mail := func(headers, body string) string { return mbox(letter{one.subject, one.id, "", headers, body}) }
	series := func(format1, format2 string) string {
		return mbox(letter{"[PATCH 1/2] f: One", "<1>", "", "", adds("one", "1")}, letter{"[PATCH 2/2] f: Two", "<2>", "", "", adds("two", "2")},
			letter{format1 + " f: One", "<11>", "", "", adds("one", "uno")}, letter{format2 + " f: Two", "<12>", "", "", adds("two", "due")})
	}
	plain := one.body[strings.Index(one.body, "diff --git"):]
	hunk := plain[strings.Index(plain, "@@"):]
	parts := func(kind string, of ...string) string {
		return mail("MIME-Version: 1.0\nContent-Type: multipart/"+kind+"; boundary=\"=_x\"\n", "--=_x\n"+strings.Join(of, "\n--=_x\n")+"\n--=_x--\n")
	}
	colors := strings.NewReplacer("diff --git", "\x1b[1mdiff --git", "@@ -1", "\x1b[36m@@ -1", "+1\n", "\x1b[32m+1\x1b[m\n", "--- a", "\x1b[1m--- a", "+++ b", "\x1b[1m+++ b").Replace(plain)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "0001-f-One.patch", Mode: 0o644, Size: int64(len(plain))}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(plain))
	_ = w.Close()
	both := []string{"is of v1, but the file has v3", "is of v1, but the file has v3"}
	for _, c := range []struct {
		name, text, want string
		notes            []string
		refused          string
	}{
		{"a patch sent again as v2.1", mbox(letter{"[PATCH v2 1/2] f: One", "<1>", "", "", adds("one", "1")}, letter{"[PATCH v2 2/2] f: Two", "<2>", "", "", adds("two", "2")}, letter{"[PATCH v2.1 2/2] f: Two", "<3>", "<2>", "", adds("two", "due")}),
			"one 1 two due three", []string{`"[PATCH v2 1/2] f: One" is applied, though of v2: v2.1 has only other`, `"[PATCH v2 2/2] f: Two" is of v2, but the file has v2.1`}, ""},
		{"a version after a dash", series("[PATCH-v3 1/2]", "[PATCH-v3 2/2]"), "one uno two due three", both, ""},
		{"a version in front", series("[v3 PATCH 1/2]", "[v3 PATCH 2/2]"), "one uno two due three", both, ""},
		{"a version at the end", series("[PATCH 1/2 V3]", "[PATCH 2/2 V3]"), "one uno two due three", both, ""},
		{"numbers of Mercurial", mbox(letter{"[PATCH 2 of 2] f: Two", "", "", "", adds("1", "2")}, letter{"[PATCH 1 of 2] f: One", "", "", "", adds("one", "1")}), "one 1 2 two three", nil, ""},

		{"signed, in the text", mail("", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"+strings.ReplaceAll(one.body, "\n-", "\n- -")+"-----BEGIN PGP SIGNATURE-----\nabc\n-----END PGP SIGNATURE-----\n"), "one 1 two three", nil, ""},
		{"signed, as a part", parts("signed; micalg=pgp-sha512", "Content-Type: text/plain\n\n"+one.body, "Content-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\nx\n"), "one 1 two three", nil, ""},
		{"encrypted", parts("encrypted", "Content-Type: application/pgp-encrypted\n\nVersion: 1", "Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\nx\n"), "", nil, `"[PATCH] f: One" has no diff`},
		{"in the text and attached", parts("mixed", "Content-Type: text/plain\n\n"+one.body, "Content-Type: text/x-patch; name=1.patch\n\n"+plain), "one 1 two three", nil, ""},
		{"two attachments", parts("mixed", "Content-Type: text/x-patch\n\n"+plain, "Content-Type: text/x-patch\n\n"+adds("1", "2")), "one 1 2 two three", nil, ""},
		{"as text and as HTML", parts("alternative", "Content-Type: text/plain\n\n"+one.body, "Content-Type: text/html\n\n<pre>\n"+plain+"</pre>"), "one 1 two three", nil, ""},
		{"HTML first", parts("alternative", "Content-Type: text/html\n\n<pre>\n"+plain+"</pre>", "Content-Type: text/plain\n\n"+one.body), "one 1 two three", nil, ""},
		{"forwarded as an attachment", strings.Replace(parts("mixed", "Content-Type: text/plain\n\nFYI", "Content-Type: message/rfc822\n\nSubject: [PATCH] f: One\n\n"+one.body), "[PATCH] f: One", "Fwd: [PATCH] f: One", 1), "", nil, `"Fwd: [PATCH] f: One" has no diff: it forwards another mail`},
		{"parts without an end", strings.Replace(parts("mixed", "Content-Type: text/plain\n\n"+one.body), "--=_x--\n", "", 1), "", nil, "read mail 1: truncated: the last MIME part has no end"},
		{"an unknown character set", mail("Content-Type: text/plain; charset=x-unknown\n", one.body), "one 1 two three", nil, ""},
		{"a malformed content type", mail("Content-Type: text/plain; charset=\n", one.body), "one 1 two three", nil, ""},
		{"quoted", mail("", "> "+strings.ReplaceAll(one.body, "\n", "\n> ")), "", nil, `"[PATCH] f: One" has no diff: its diff is quoted`},
		{"scissors", mail("", "How about:\n\n-- >8 --\nSubject: [PATCH] f: Two\n\n"+one.body), "one 1 two three", nil, ""},
		{"a diff in the description", mail("", "It was\n\n  diff --git a/x b/x\n  --- a/x\n  +++ b/x\n  @@ -1 +1 @@\n\nbefore.\n"+one.body), "one 1 two three", nil, ""},
		{"a mode alone", mail("", "Because.\n---\n drivers/f | 0\n\ndiff --git a/drivers/f b/drivers/f\nold mode 100644\nnew mode 100755\n-- \n2.39\n"), "one two three", nil, ""},
		{"a binary file without its bytes", mail("", "Because.\n---\ndiff --git a/x.bin b/x.bin\nnew file mode 100644\nindex 000000000000..6b0c6cfde9a1\nBinary files /dev/null and b/x.bin differ\n-- \n2.39\n"), "", nil, "cannot apply binary patch to 'x.bin' without full index line"},

		{"of Subversion", "Index: drivers/f\n=======\n--- drivers/f\t(revision 1)\n+++ drivers/f\t(working copy)\n" + hunk, "one 1 two three", nil, ""},
		{"of Mercurial", "# HG changeset patch\n# Node ID 12\nf: One\n\ndiff -r 12 -r 34 drivers/f\n--- a/drivers/f\tThu Jan 01\n+++ b/drivers/f\tThu Jan 01\n" + hunk, "one 1 two three", nil, ""},
		{"whole paths of another machine", "--- /usr/src/linux.orig/drivers/f\n+++ /usr/src/linux/drivers/f\n" + hunk, "one 1 two three", nil, ""},
		{"whole paths, deep", "diff -u /home/a/src/kernel/v6/linux/drivers/f.orig /home/a/src/kernel/v6/linux/drivers/f\n--- /home/a/src/kernel/v6/linux/drivers/f\n+++ /home/a/src/kernel/v6/linux/drivers/f\n" + hunk, "one 1 two three", nil, ""},
		{"git's mnemonic prefixes", strings.NewReplacer(" a/", " i/", " b/", " w/").Replace(plain), "one 1 two three", nil, ""},
		{"with a copy of before", "--- drivers/f.orig\n+++ drivers/f\n" + hunk, "one 1 two three", nil, ""},
		{"with colours", colors, "", nil, "contains terminal colours"},
		{"a tar archive", archive.String(), "", nil, "is a tar archive; unpack it first"},
		{"a tar archive in gzip", zipped(archive.String()), "", nil, "is a tar archive; unpack it first"},
		{"compressed twice", zipped(zipped(mbox(one))), "", nil, "is compressed twice"},
		{"xz in gzip", zipped("\xfd7zXZ\x00\x00"), "", nil, "is compressed; unpack it first: xz -d"},
		{"a web page after a blank line", "\n  <!Doctype html>\n<html>", "", nil, "is a web page"},
		{"a web page in gzip", zipped("<HTML>"), "", nil, "is a web page"},
		{"a feed", "<?xml version=\"1.0\"?>\n<feed>", "", nil, "is XML, such as a feed"},
		{"a message of Outlook", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", nil, "is an Outlook message"},
		{"a link", "https://localhost/r/20260101.1-a@b/\n", "", nil, "it is neither a mail nor a diff"},
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
			if !slices.EqualFunc(got.Notes, c.notes, strings.Contains) {
				t.Errorf("got notes %q, want %q", got.Notes, c.notes)
			}
		})
	}
}
