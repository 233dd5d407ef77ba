package tree

import (
	"context"
	"os"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// inputs are what determines a kernel, apart from its source.
type inputs struct {
	base, fragment string // of the configuration
	cc, compiler   string // as requested, and the compiler's own version text
	flags          string // KCFLAGS
}

// buildFormat is part of every key: raise it when the same input gives a different
// kernel.
const buildFormat = "2"

// inputsOf reads the files named by settings, and checks that this machine can build
// with them.
func inputsOf(ctx context.Context, set map[string]string) (in inputs, err error) {
	in.cc, in.flags = set[setCC], os.Getenv("KCFLAGS")
	if in.base, in.fragment, err = configuration(set[setConfig]); err != nil {
		return in, err
	}
	config, err := kconfig.ParseBytes([]byte(in.base))
	if err != nil {
		return in, err
	}
	if err := build.Tools(ctx, in.cc, config); err != nil {
		return in, err
	}
	in.compiler, err = build.Compiler(ctx, in.cc)
	return in, err
}

// key returns all of them.
func (in inputs) key() []string {
	return []string{buildFormat, in.base, in.fragment, in.cc, in.compiler, in.flags}
}

// Inputs returns, by name, what determines kernels built with settings, apart from their
// source: two builds are comparable if all of it is equal.
func Inputs(ctx context.Context, set map[string]string) (map[string]string, error) {
	in, err := inputsOf(ctx, set)
	return map[string]string{
		"configuration": cache.Key(buildFormat, in.base, in.fragment), "compiler": in.compiler, "KCFLAGS": in.flags,
	}, err
}
