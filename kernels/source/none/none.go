// Package none refuses every kernel: none:WORD[?colour=WORD].
package none

import (
	"context"

	"github.com/faultline/faultline/kernels"
)

// Source is none:WORD.
func Source() kernels.Source {
	return kernels.Source{
		Scheme: "none", Forms: []string{"none:WORD"}, Settings: []string{"colour"},
		Check: func(kernels.Request) error { return nil },
		Resolve: func(_ context.Context, r kernels.Request, _ kernels.Options) (*kernels.Kernel, error) {
			return nil, &kernels.SpecError{Problem: "there is no " + r.Set["colour"] + r.Arg, WayOut: "ask another source"}
		},
	}
}
