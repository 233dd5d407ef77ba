package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
	"github.com/faultline/faultline/internal/limitread"
)

// mostPatch is the maximum size of a file of patches, unpacked: twice the diff between
// two releases of Linux.
const mostPatch = 256 << 20

// giveSeries is the hint for a file that contains no patches.
const giveSeries = "give a file of git format-patch or b4, or a plain diff"

var (
	// reDiff matches what git and patch(1) accept as a diff, and the combined diff of a
	// merge.
	reDiff = regexp.MustCompile(`(?m)^(?:diff --git \S.* \S|diff --(?:cc|combined) \S|--- \S.*\n\+\+\+ \S.*\n@@+ -\d)`)
	// reDiffLine matches the header lines of a diff, which have the line ends of the file
	// itself; the content lines may have others.
	reDiffLine = regexp.MustCompile(`(?m)^(?:diff --git |--- |\+\+\+ |@@ -).*\r$`)
	reLog      = regexp.MustCompile(`(?m)^commit [0-9a-f]{40,}\b`)
	reContext  = regexp.MustCompile(`(?m)^\*\*\* \S.*\n--- \S.*\n\*{15}`)
	reColor    = regexp.MustCompile(`\x1b\[[0-9;]*[mK]`)
	reQuoted   = regexp.MustCompile(`(?m)^> ?(?:diff --git \S|--- \S.*\n> ?\+\+\+ \S)`)
	reSigned   = regexp.MustCompile(`(?m)^-----BEGIN PGP SIGNED MESSAGE-----$`)
	reEscaped  = regexp.MustCompile(`(?m)^- -`)
	reCombined = regexp.MustCompile(`(?m)^(?:diff --(?:cc|combined) |@@@+ -)`)
)

// others are formats that users may give in place of patches, by their first bytes.
var others = []struct{ begins, are string }{
	{"BZh", "compressed; unpack it first: bzip2 -d"},
	{"\xfd7zXZ\x00", "compressed; unpack it first: xz -d"},
	{"\x28\xb5\x2f\xfd", "compressed; unpack it first: zstd -d"},
	{"PK\x03\x04", "a zip archive; unpack it first"},
	{"# v2 git bundle", "a git bundle; fetch it into the tree and give its commits"},
	{"# v3 git bundle", "a git bundle; fetch it into the tree and give its commits"},
	{"\xff\xfe", "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"},
	{"\xfe\xff", "UTF-16 text; convert it first: iconv -f UTF-16 -t UTF-8"},
	{"\x1f\x8b", "compressed twice; unpack it first: gzip -d"},
	{"\xd0\xcf\x11\xe0", "an Outlook message; save it as text"},
	{"<!doctype", "a web page; give the mail itself (on lore.kernel.org: raw, or t.mbox.gz)"},
	{"<html", "a web page; give the mail itself (on lore.kernel.org: raw, or t.mbox.gz)"},
	{"<?xml", "XML, such as a feed; give the mail itself (on lore.kernel.org: raw, or t.mbox.gz)"},
}

// tarMagic is the offset of a tar archive's magic (POSIX, pax).
const tarMagic = 257

// file reads the patches of a file, and returns notes about what is left out.
func (r *Repo) file(ctx context.Context, path string) ([]Patch, []string, error) {
	data, err := readPatches(path)
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Base(path)
	if !isMail(data) {
		diff := unix(data, reDiffLine.Match(data))
		switch {
		case len(reLog.FindAll(diff, 2)) > 1:
			return nil, nil, errkind.Requestf("%s has several commits as printed by git log -p, newest first; "+
				"give a file of git format-patch", path)
		case reDiff.Match(diff):
			return []Patch{{From: name, diff: diff}}, nil, nil
		case reColor.Match(diff) && reDiff.Match(reColor.ReplaceAll(diff, nil)):
			return nil, nil, errkind.Requestf("%s contains terminal colours; create it without: git diff --no-color", path)
		case reContext.Match(diff):
			return nil, nil, errkind.Requestf("%s is a context diff; give a unified one: diff -u", path)
		}
		return nil, nil, errkind.Requestf("%s contains no patch: it is neither a mail nor a diff; %s", path, giveSeries)
	}
	messages, err := r.split(ctx, path, data)
	if err != nil {
		return nil, nil, err
	}
	return choose(path, messages)
}

// readPatches reads a file, which may be compressed by gzip, as from mail archives.
func readPatches(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, errkind.Requestf("%s is a folder; give the patch files in it, in order", path)
	}
	data, err := limitread.ReadFile(path, mostPatch)
	if err != nil {
		return nil, errkind.Requestf("read the patch: %w; %s", err, giveSeries)
	}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			data, err = io.ReadAll(io.LimitReader(z, mostPatch+1))
		}
		if err != nil {
			return nil, errkind.Requestf("unpack %s: %w; the file is damaged or truncated: download it again", path, err)
		}
		if len(data) > mostPatch {
			return nil, errkind.Requestf("%s is larger than %d MiB unpacked, the maximum for patches; %s",
				path, mostPatch>>20, giveSeries)
		}
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), "\r\n")
	begins := bytes.ToLower(bytes.TrimLeft(data[:min(len(data), 512)], " \t\r\n"))
	for _, o := range others {
		if bytes.HasPrefix(data, []byte(o.begins)) || o.begins[0] == '<' && bytes.HasPrefix(begins, []byte(o.begins)) {
			return nil, errkind.Requestf("%s is %s", path, o.are)
		}
	}
	if len(data) > tarMagic && bytes.HasPrefix(data[tarMagic:], []byte("ustar")) {
		return nil, errkind.Requestf("%s is a tar archive; unpack it first (tar -x), and give its patches in order", path)
	}
	return data, nil
}

// isMail reports whether a file begins like a mailbox or a mail.
func isMail(data []byte) bool {
	if bytes.HasPrefix(data, []byte("From ")) {
		return true
	}
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return false
	}
	for _, name := range []string{"From", "Subject", "Date", "Message-Id"} {
		if m.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// unix removes carriage returns at line ends if they were added in transit.
func unix(data []byte, came bool) []byte {
	if !came {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}

// firstLine returns the first line of a text, with its newline.
func firstLine(data []byte) []byte { return data[:bytes.IndexByte(data, '\n')+1] }

// split splits a mailbox into its mails. It uses git, which knows where a mail begins:
// not at every line that starts with "From ".
func (r *Repo) split(ctx context.Context, path string, data []byte) ([]*message, error) {
	if !bytes.HasPrefix(data, []byte("From ")) { // a mail without the mbox separator line
		data = append([]byte("From faultline Thu Jan  1 00:00:00 1970\n"), data...)
	}
	work, err := os.MkdirTemp(r.dir, "mails-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	_, err = r.Output(ctx, nil, data, "mailsplit", "--keep-cr", "-d6", "-o"+work)
	var failed *execx.RunError
	if errors.As(err, &failed) {
		return nil, errkind.Requestf("%s is not a mailbox of patches: %w; %s", path, err, giveSeries)
	}
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(work)
	if err != nil {
		return nil, err
	}
	var all []*message
	for i, f := range files {
		raw, err := os.ReadFile(filepath.Join(work, f.Name()))
		if err != nil {
			return nil, err
		}
		m, err := parse(raw)
		if err != nil {
			return nil, errkind.Requestf("%s: read mail %d: %w; %s", path, i+1, err, giveSeries)
		}
		all = append(all, m)
	}
	return all, nil
}

// parse parses one mail of a mailbox.
func parse(raw []byte) (*message, error) {
	if bytes.HasPrefix(raw, []byte("From ")) {
		raw = raw[len(firstLine(raw)):]
	}
	raw = unix(raw, bytes.HasSuffix(firstLine(raw), []byte("\r\n")))
	in, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	m := newMessage(in.Header)
	body, err := io.ReadAll(in.Body)
	if err == nil {
		err = m.part(textproto.MIMEHeader(in.Header), body, 0)
	}
	return m, err
}

// mostNested is the maximum nesting depth of the MIME parts of a mail.
const mostNested = 8

// part adds the diff in a mail or in one of its MIME parts.
func (m *message) part(h textproto.MIMEHeader, body []byte, depth int) error {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil { // missing or malformed: RFC 2045, 5.2
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < mostNested {
		parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("its MIME parts: %w", err)
			}
			body, err := io.ReadAll(p)
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("truncated: the last MIME part has no end")
			}
			if err == nil {
				err = m.part(p.Header, body, depth+1)
			}
			if err != nil {
				return err
			}
		}
	}
	text, err := decode(h.Get("Content-Transfer-Encoding"), body)
	if err != nil {
		return fmt.Errorf("its %s: %w", h.Get("Content-Transfer-Encoding"), err)
	}
	text = toUTF8(params["charset"], text)
	text = unix(text, reDiffLine.Match(text))
	if reSigned.Match(text) { // RFC 9580, 7.2
		text = reEscaped.ReplaceAll(text, []byte("-"))
	}
	switch {
	case bytes.HasPrefix(text, []byte("\x1f\x8b")):
		m.without = "its attachment is compressed"
	case reContext.Match(text):
		m.without = "it has a context diff, not a unified one"
	case !reDiff.Match(text):
		if reQuoted.Match(text) && !m.reply {
			m.without = "its diff is quoted, as in a reply"
		}
	case kind == "text/html":
		if m.diff == nil {
			m.without = "it has only an HTML part"
		}
	case kind == "message/rfc822":
		m.without = "it forwards another mail"
	case bytes.Contains(m.diff, changes(text)): // both in the text and attached
	default:
		m.diff = append(m.diff, text...)
		m.flowed = m.flowed || strings.EqualFold(params["format"], "flowed")
	}
	return nil
}

// changes returns the diff in a text, without the text in front of it and the signature
// after it.
func changes(text []byte) []byte {
	text, _, _ = bytes.Cut(text[reDiff.FindIndex(text)[0]:], []byte("\n-- \n"))
	return bytes.TrimSpace(text)
}

func decode(encoding string, body []byte) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
	}
	return body, nil
}

// toUTF8 converts a text unless it is valid UTF-8 already, even if its mail declares
// another character set.
func toUTF8(charset string, text []byte) []byte {
	if e, err := htmlindex.Get(charset); err == nil && !utf8.Valid(text) {
		if converted, err := e.NewDecoder().Bytes(text); err == nil {
			return converted
		}
	}
	return text
}
