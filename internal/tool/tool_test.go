package tool_test

import (
	"errors"
	"strings"
	"testing"

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
