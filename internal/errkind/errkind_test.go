package errkind_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/faultline/faultline/internal/errkind"
)

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind errkind.Kind
		code int
	}{
		{nil, errkind.Infra, 0},
		{errors.New("QEMU ended"), errkind.Infra, 3},
		{context.Canceled, errkind.Infra, 3},
		{errkind.Requestf("no kernel %q", "x"), errkind.Request, 2},
		{fmt.Errorf("read the matrix: %w", errkind.Requestf("line 2")), errkind.Request, 2},
		{errors.Join(errors.New("first"), errkind.Requestf("second")), errkind.Request, 2},
	} {
		if got := errkind.Of(test.err); got != test.kind {
			t.Errorf("%v: got the kind %d, want %d", test.err, got, test.kind)
		}
		if got := errkind.ExitCode(test.err); got != test.code {
			t.Errorf("%v: got exit code %d, want %d", test.err, got, test.code)
		}
	}
	if err := errkind.Requestf("read %s: %w", "x", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) || err.Error() != "read x: file does not exist" {
		t.Errorf("got %v, want its cause in it", err)
	}
}
