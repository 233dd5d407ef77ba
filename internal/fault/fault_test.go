package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/faultline/faultline/internal/fault"
)

func TestKinds(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind fault.Kind
		code int
	}{
		{nil, fault.Rig, 0},
		{errors.New("QEMU ended"), fault.Rig, 3},
		{context.Canceled, fault.Rig, 3},
		{fault.Requestf("no kernel %q", "x"), fault.Request, 2},
		{fmt.Errorf("read the matrix: %w", fault.Requestf("line 2")), fault.Request, 2},
		{errors.Join(errors.New("first"), fault.Requestf("second")), fault.Request, 2},
	} {
		if got := fault.Of(test.err); got != test.kind {
			t.Errorf("%v is of kind %d, not %d", test.err, got, test.kind)
		}
		if got := fault.ExitCode(test.err); got != test.code {
			t.Errorf("%v exits with %d, not %d", test.err, got, test.code)
		}
	}
	if err := fault.Requestf("read %s: %w", "x", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) || err.Error() != "read x: file does not exist" {
		t.Errorf("%v hides its cause", err)
	}
}
