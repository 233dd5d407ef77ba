package backport

import (
	"context"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/cache"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
	"github.com/faultline/faultline/kernels/source"
)

// configFact is a line of the setup about the configurations of two built kernels.
type configFact struct{ name, text string }

// compilerSymbol holds the first line of the compiler's --version (init/Kconfig).
const compilerSymbol = "CC_VERSION_TEXT"

// mostOptions is how many different options a mail lists.
const mostOptions = 8

// compare finds how the configurations and compilers of two built kernels differ: a
// difference there can be the cause of one that the verdict attributes to the patches.
func (a *about) compare(ctx context.Context, r *results.Run, store *cache.Cache) error {
	var configs []*kconfig.Config
	for _, name := range []string{Base, Patched} {
		k, ok := r.Kernel(name)
		if !ok || k.Unavailable != "" {
			return nil
		}
		// The run has just put it into the cache.
		found, err := source.All().Resolve(ctx, k.Spec, kernels.Options{Cache: store})
		if err != nil && ctx.Err() == nil { // a server may be gone since; the verdict is there
			a.configs = []configFact{{"config", fmt.Sprintf("not compared: %v", err)}}
			return nil
		}
		if err != nil {
			return err
		}
		config, digest := found.Config, found.Digest
		if err := found.Close(); err != nil {
			return err
		}
		if digest != k.Digest {
			a.configs = []configFact{{"config", fmt.Sprintf("not compared: %s has changed since the run", k.Spec)}}
			return nil
		}
		configs = append(configs, config)
	}
	a.configs = configFacts(configs[0], configs[1])
	return nil
}

// configFacts describes two configurations, the base's first.
func configFacts(base, patched *kconfig.Config) []configFact {
	var options []string
	for _, d := range kconfig.Differences(base, patched) {
		switch d.Symbol {
		case compilerSymbol, "LOCALVERSION", "BUILD_SALT": // the last two only name the build
			continue
		}
		options = append(options, fmt.Sprintf("CONFIG_%s (%s -> %s)", d.Symbol, d.A, d.B))
	}
	config := "equal"
	if n := len(options); n > 0 {
		config = fmt.Sprintf("%s, base -> patched, which can also cause what differs: ",
			english.Plural(n, "different option", "")) + strings.Join(options[:min(n, mostOptions)], ", ")
		if n > mostOptions {
			config += fmt.Sprintf(" and %d more", n-mostOptions)
		}
	}
	compiler := base.Get(compilerSymbol)
	if other := patched.Get(compilerSymbol); other != compiler {
		compiler = fmt.Sprintf("%s (base), %s (patched)", compiler, other)
	}
	facts := []configFact{{"config", config}}
	if compiler != "" {
		facts = append(facts, configFact{"compiler", compiler})
	}
	return facts
}
