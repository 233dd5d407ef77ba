// Command variants creates a git repository of test kernels with known bugs: Debian's
// unmodified linux-source packages, one complete backport and many that are not, and a
// history with the change in the middle.
//
//	go run ./tools/variants [-patches DIR] REPOSITORY [NAME...]
//	go run ./tools/variants -list
//
// Each is a branch, for the kernel spec tree:REPOSITORY@NAME. Without names it creates
// all. Source packages come from /usr/src, or are downloaded with apt-get. With -patches
// it also writes the patches of each variant as a mailbox, NAME.mbox, for faultline
// backport.
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
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/faultline/faultline/internal/execx"
)

func main() {
	os.Exit(run())
}

// run returns the exit code: 1 if a kernel could not be created, 2 if the request is
// invalid.
func run() int {
	list := flag.Bool("list", false, "list the kernels and create none")
	patches := flag.String("patches", "", "write a mailbox for each modified kernel to this `folder`")
	flag.Parse() // exits with 2
	if *list {
		printList(os.Stdout)
		return 0
	}
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "variants: name the repository to create, such as ../variants")
		return 2
	}
	names, err := choose(flag.Args()[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "variants:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := makeAll(ctx, flag.Arg(0), names, *patches); err != nil {
		fmt.Fprintln(os.Stderr, "variants:", err)
		return 1
	}
	return 0
}

// historyName is the branch of the history.
const historyName = "history"

func printList(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range variants {
		fmt.Fprintf(t, "%s\t%s\n", v.name, v.what)
	}
	fmt.Fprintf(t, "%s\t%d commits on 6.1, including the whole change\n", historyName, len(history))
	t.Flush()
}

// choose returns the variants with these names, or all, in the order of the table.
func choose(names []string) ([]string, error) {
	var all []string
	for _, v := range variants {
		all = append(all, v.name)
	}
	all = append(all, historyName)
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, fmt.Errorf("no kernel is called %q; list them with -list", n)
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(n string) bool { return !slices.Contains(names, n) }), nil
}

// makeAll creates all of them in turn, even if one fails: a newer source may not have the
// text that an edit replaces.
func makeAll(ctx context.Context, dir string, names []string, patches string) error {
	if _, err := execx.Find("xz", "xz-utils"); err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	r := repo{abs}
	if err := os.MkdirAll(filepath.Join(abs, ".git"), 0o755); err != nil {
		return err
	}
	if _, err := r.git(ctx, "", "", "init", "--quiet", "--initial-branch=6.1", abs); err != nil {
		return err
	}
	if patches != "" {
		if err := os.MkdirAll(patches, 0o755); err != nil {
			return err
		}
	}
	var failed []error
	for _, name := range names {
		base, head, err := makeOne(ctx, r, name)
		if err == nil && patches != "" && base != head {
			err = r.mails(ctx, base, head, filepath.Join(patches, name+".mbox"))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			failed = append(failed, errors.New(name))
			continue
		}
		fmt.Printf("tree:%s@%s\n", strings.TrimSuffix(dir, "/"), name)
	}
	if len(failed) > 0 {
		return fmt.Errorf("not created: %w", errors.Join(failed...))
	}
	return nil
}

// makeOne creates the branch of a variant or of the history; base is the commit it is
// based on.
func makeOne(ctx context.Context, r repo, name string) (base, head string, err error) {
	if name == historyName {
		if base, err = r.source(ctx, "6.1"); err != nil {
			return "", "", err
		}
		if head, err = r.history(ctx, base, history); err != nil {
			return "", "", err
		}
		return base, head, r.setBranch(ctx, name, head)
	}
	v := variants[slices.IndexFunc(variants, func(v variant) bool { return v.name == name })]
	if base, err = r.source(ctx, v.version); err != nil || len(v.edits) == 0 {
		return base, base, err
	}
	if head, err = r.edited(ctx, base, "Make "+v.name+": "+v.what, v.edits); err != nil {
		return "", "", err
	}
	return base, head, r.setBranch(ctx, name, head)
}
