package execx_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/internal/execx"
)

func TestMissing(t *testing.T) {
	_, err := execx.Find("mkfs.nosuch", "nosuchprogs")
	var missing *execx.MissingError
	if !errors.As(err, &missing) || !strings.HasSuffix(missing.Command(), " nosuchprogs") || errkind.Of(err) != errkind.Tool {
		t.Fatalf("got %v, want a *MissingError whose command installs nosuchprogs", err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "mkfs.nosuch is not installed; install it with: ") || !strings.HasSuffix(text, missing.Command()) {
		t.Errorf("got %q, want how to install mkfs.nosuch", text)
	}
}

// A program that does not answer is killed, with its children.
func TestAsk(t *testing.T) {
	_, err := execx.Ask(t.Context(), 200*time.Millisecond, "/bin/sh", "-c", "sleep 3600 & sleep 3600")
	if err == nil || err.Error() != "no answer within 200ms" {
		t.Errorf("got %v, want no answer within 200ms", err)
	}
	if out, err := execx.Ask(t.Context(), time.Minute, "/bin/sh", "-c", "echo yes"); string(out) != "yes\n" || err != nil {
		t.Errorf("got %q, error %v; want yes", out, err)
	}
}

func TestRun(t *testing.T) {
	sh, err := execx.Find("sh", "dash")
	if err != nil {
		t.Fatal(err)
	}
	_, err = execx.Run(t.Context(), "", []string{"WORD=two"}, sh, "-c", "echo one >&2; echo $WORD >&2; exit 3")
	var r *execx.RunError
	if !errors.As(err, &r) || r.Stderr != "one\ntwo\n" || err.Error() != "sh: exit status 3: one / two" {
		t.Errorf("got %v, want a *RunError, sh: exit status 3: one / two", err)
	}
}
