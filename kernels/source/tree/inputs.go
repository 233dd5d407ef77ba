package tree

import (
	"context"
	"os"

	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels/build"
	"github.com/faultline/faultline/kernels/kconfig"
)

// inputs are what decides a kernel beside its source.
type inputs struct {
	base, fragment string // of the configuration
	cc, compiler   string // as it was asked for, and what it calls itself
	flags          string // KCFLAGS
}

// buildFormat is part of every key: raise it when the same input gives another kernel.
const buildFormat = "2"

// inputsOf reads what settings name, and sees whether this machine can build with them.
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

// key has all of them.
func (in inputs) key() []string {
	return []string{buildFormat, in.base, in.fragment, in.cc, in.compiler, in.flags}
}

// Inputs returns, by name, what decides the kernels that are built with settings,
// beside their source: two builds are comparable where all of it is the same.
func Inputs(ctx context.Context, set map[string]string) (map[string]string, error) {
	in, err := inputsOf(ctx, set)
	return map[string]string{
		"configuration": cache.Key(buildFormat, in.base, in.fragment), "compiler": in.compiler, "KCFLAGS": in.flags,
	}, err
}
