package git

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/faultline/faultline/internal/fault"
)

// file reads the patches of a file, and says what of it is left out.
func (r *Repo) file(ctx context.Context, path string) ([]Patch, []string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fault.Requestf("read the patch: %w; give a file of git format-patch or b4", err)
	}
	name := filepath.Base(path)
	if !strings.HasPrefix(string(data), "From ") && !strings.HasPrefix(string(data), "From: ") && !reMail.Match(data) {
		return []Patch{{From: name, diff: data}}, nil, nil
	}
	if !strings.HasPrefix(string(data), "From ") { // one mail without an mbox's line before it
		data = append([]byte("From faultline Thu Jan  1 00:00:00 1970\n"), data...)
	}
	work, err := os.MkdirTemp(r.dir, "mails-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(work)
	if _, err := r.Output(ctx, nil, data, "mailsplit", "-o"+work, "-d4"); err != nil {
		return nil, nil, fault.Requestf("%s is no mailbox of patches: %w; give a file of git format-patch or b4", path, err)
	}
	mails, err := os.ReadDir(work)
	if err != nil {
		return nil, nil, err
	}
	var out []Patch
	for _, m := range mails {
		file := filepath.Join(work, m.Name())
		mail, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		info, err := r.Output(ctx, nil, mail, "mailinfo", "--encoding=UTF-8", file+".message", file+".diff")
		if err != nil {
			return nil, nil, fault.Requestf("%s: read a mail: %w; give a file of git format-patch or b4", path, err)
		}
		diff, err := os.ReadFile(file + ".diff")
		if err != nil {
			return nil, nil, err
		}
		if len(strings.TrimSpace(string(diff))) == 0 {
			continue // a cover letter
		}
		p := Patch{From: name, diff: diff}
		for line := range strings.Lines(string(info)) {
			if s, ok := strings.CutPrefix(line, "Subject: "); ok {
				p.Subject = strings.TrimSpace(s)
			}
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, nil, fault.Requestf("%s has no patch in it; give a file of git format-patch or b4", path)
	}
	return out, nil, nil
}

var reMail = regexp.MustCompile(`(?m)\A(?:[A-Za-z-]+: .*\n)+`)
