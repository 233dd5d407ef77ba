package tool_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/fault"
	"github.com/faultline/faultline/internal/tool"
)

func TestMissing(t *testing.T) {
	_, err := tool.Find("mkfs.nosuch", "nosuchprogs")
	var missing *tool.MissingError
	if !errors.As(err, &missing) || !strings.HasSuffix(missing.Command(), "apt-get install -y nosuchprogs") || fault.Of(err) != fault.Tool {
		t.Fatalf("got %v", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "mkfs.nosuch is not installed (Debian package nosuchprogs); run: ") || !strings.HasSuffix(text, missing.Command()) {
		t.Errorf("got %q", text)
	}
}

// A program that does not answer ends, with what it started.
func TestAsk(t *testing.T) {
	_, err := tool.Ask(t.Context(), 200*time.Millisecond, "/bin/sh", "-c", "sleep 3600 & sleep 3600")
	if err == nil || err.Error() != "no answer within 200ms" {
		t.Error(err)
	}
	if out, err := tool.Ask(t.Context(), time.Minute, "/bin/sh", "-c", "echo yes"); string(out) != "yes\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

func TestRun(t *testing.T) {
	sh, err := tool.Find("sh", "dash")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tool.Run(t.Context(), "", []string{"WORD=two"}, sh, "-c", "echo one >&2; echo $WORD >&2; exit 3")
	var r *tool.RunError
	if !errors.As(err, &r) || r.Stderr != "one\ntwo\n" || err.Error() != "sh: exit status 3: one / two" {
		t.Errorf("got %v", err)
	}
}
