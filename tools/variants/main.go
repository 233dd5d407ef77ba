// Command variants builds test kernels from Debian's linux-source packages, as
// they are and deliberately changed, into folders fit for Faultline's dir:
// specs. They are kernels for which one knows beforehand what Faultline must
// say: of a backport that is whole, and of many that are not.
//
//	go run ./tools/variants [-out DIR] [-work DIR] [-j JOBS] [NAME...]
//	go run ./tools/variants -list
//
// Without names it builds all. A source package is taken from /usr/src, or else
// downloaded with apt-get. Sources and objects stay in -work: the first build of
// a version, or of another configuration, takes ten minutes on two cores, a
// variant after it half of one. Delete -work to have newer sources.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	os.Exit(run())
}

// run returns the exit code: 1 where a kernel was not built, 2 where the request
// is wrong.
func run() int {
	out := flag.String("out", "variants", "the `folder` that gets a folder for each kernel")
	work := flag.String("work", "", "the `folder` for sources and objects (default: faultline-variants in the user's cache folder)")
	jobs := flag.Int("j", runtime.NumCPU(), "`jobs` of make")
	list := flag.Bool("list", false, "list the kernels and build none")
	flag.Parse() // exits with 2
	if *list {
		printList(os.Stdout)
		return 0
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "variants:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := buildAll(ctx, chosen, *out, *work, *jobs); err != nil {
		fmt.Fprintln(os.Stderr, "variants:", err)
		return 1
	}
	return 0
}

func printList(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range variants {
		fmt.Fprintf(t, "%s\t%s\n", v.name, v.what)
	}
	t.Flush()
}

// choose returns the variants of these names, or all, in the table's order:
// there, neighbours have most in common.
func choose(names []string) ([]variant, error) {
	for _, n := range names {
		if !slices.ContainsFunc(variants, func(v variant) bool { return v.name == n }) {
			return nil, fmt.Errorf("no kernel is called %q; -list names them", n)
		}
	}
	if len(names) == 0 {
		return variants, nil
	}
	var chosen []variant
	for _, v := range variants {
		if slices.Contains(names, v.name) {
			chosen = append(chosen, v)
		}
	}
	return chosen, nil
}

// buildAll builds one after the other, also where one fails: a newer source may
// lack the text that one variant looks for.
func buildAll(ctx context.Context, chosen []variant, out, work string, jobs int) error {
	if err := checkTools(ctx); err != nil {
		return err
	}
	b, err := newBuilder(out, work, jobs)
	if err != nil {
		return err
	}
	defer b.close()
	var failed []error
	for _, v := range chosen {
		start := time.Now()
		if err := b.build(ctx, v); ctx.Err() != nil {
			return context.Cause(ctx)
		} else if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", v.name, err)
			failed = append(failed, errors.New(v.name))
			continue
		}
		fmt.Printf("%4.0f s  dir:%s\n", time.Since(start).Seconds(), filepath.Join(b.out, v.name))
	}
	if len(failed) > 0 {
		return fmt.Errorf("not built: %w", errors.Join(failed...))
	}
	return nil
}
