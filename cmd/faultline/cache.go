package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/faultline/faultline/internal/cache"
)

type cacheCmd struct {
	List  cacheListCmd  `cmd:"" default:"withargs" help:"List the entries of the cache by kind, with size and last use."`
	Prune cachePruneCmd `cmd:"" help:"Remove unused entries, and leftovers of killed builds."`
}

func (cacheCmd) Help() string {
	return `Everything in the cache can be fetched, built or observed again. For each source tree (kind "tree")
it has up to three checkouts with their object files, about 2 GB each. The cache is in
$XDG_CACHE_HOME/faultline, by default ~/.cache/faultline.

Examples:
  # list its contents
  faultline cache
  # remove entries unused for 7 days
  faultline cache prune
  faultline cache prune --all --dry-run`
}

type cacheListCmd struct {
	JSON bool `name:"json" help:"Print every entry as JSON."`
}

// aptKind is the folder of the package lists. They are not entries: package apt
// refreshes them in place, and they are small.
const aptKind = "apt"

func (c *cacheListCmd) Run(ctx context.Context) error {
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	items, err := store.List()
	if err != nil {
		return err
	}
	if c.JSON {
		if items == nil {
			items = []cache.Item{}
		}
		return printJSON(struct {
			Dir     string       `json:"dir"`
			Entries []cache.Item `json:"entries"`
		}{store.Dir(), items})
	}
	left, err := store.Leftovers()
	if err != nil {
		return err
	}
	type kind struct {
		name  string
		n     int
		bytes int64
		used  time.Time
	}
	var kinds []*kind
	byName := map[string]*kind{}
	total := kind{name: "total"}
	for _, i := range items { // most recently used first
		k := byName[i.Kind]
		if k == nil {
			k = &kind{name: i.Kind, used: i.Used}
			byName[i.Kind] = k
			kinds = append(kinds, k)
		}
		k.n++
		k.bytes += i.Bytes
		total.n++
		total.bytes += i.Bytes
	}
	lists := cache.DiskUse(filepath.Join(store.Dir(), aptKind))
	total.bytes += lists + sum(left)
	columns(func(w *tabwriter.Writer) {
		fmt.Fprintln(w, "KIND\tENTRIES\tON DISK\tLAST USED")
		for _, k := range kinds {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", k.name, k.n, size(k.bytes), ago(k.used))
		}
		if lists > 0 {
			fmt.Fprintf(w, "package lists\t-\t%s\t-\n", size(lists))
		}
		if len(left) > 0 {
			fmt.Fprintf(w, "leftovers of killed builds\t%d\t%s\t-\n", len(left), size(sum(left)))
		}
		fmt.Fprintf(w, "total\t%d\t%s\t\n", total.n, size(total.bytes))
	})
	fmt.Printf("\nin %s\n", store.Dir())
	return nil
}

type cachePruneCmd struct {
	All    bool `xor:"which" help:"Remove every entry that is not in use."`
	Older  *age `placeholder:"AGE" xor:"which" help:"Remove entries unused for AGE, such as 12h (default: 7d)."`
	DryRun bool `help:"Print what would be removed; remove nothing."`
}

// unused is the default age at which entries are pruned. Each change of the guest's
// programs creates new templates; a week is long enough to go back to the old ones.
const unused = 7 * 24 * time.Hour

func (cachePruneCmd) Help() string {
	return `Entries in use and the package lists are never removed.

Example:
  faultline cache prune --older 12h`
}

func (c *cachePruneCmd) Run(ctx context.Context) error {
	store, err := cache.Open("")
	if err != nil {
		return err
	}
	items, err := store.List()
	if err != nil {
		return err
	}
	left, err := store.Leftovers()
	if err != nil {
		return err
	}
	var gone tally
	prune := func(what string, list []cache.Item, remove func(cache.Item) error) error {
		for _, i := range list {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if !c.DryRun {
				err := remove(i)
				if errors.Is(err, cache.ErrInUse) {
					fmt.Printf("kept %s/%s: in use\n", i.Kind, i.Key)
					continue
				}
				if err != nil {
					return fmt.Errorf("prune %s: %w", i.Path, err)
				}
			}
			if what != "" {
				i.Kind = what
			}
			gone.add(i)
		}
		return nil
	}
	if err := prune("leftovers of killed builds", left, store.Sweep); err != nil {
		return err
	}
	limit := unused
	if c.Older != nil {
		limit = time.Duration(*c.Older)
	}
	var old []cache.Item
	for _, i := range items {
		if c.All || time.Since(i.Used) > limit {
			old = append(old, i)
		}
	}
	if err := prune("", old, store.Remove); err != nil {
		return err
	}
	did := "removed"
	if c.DryRun {
		did = "would remove"
	}
	fmt.Printf("%s %s\n", did, gone)
	return nil
}

// tally counts entries by kind.
type tally struct {
	kinds []string
	n     map[string]int
	bytes int64
}

func (t *tally) add(i cache.Item) {
	if t.n == nil {
		t.n = map[string]int{}
	}
	if t.n[i.Kind] == 0 {
		t.kinds = append(t.kinds, i.Kind)
	}
	t.n[i.Kind]++
	t.bytes += i.Bytes
}

func (t tally) String() string {
	if len(t.kinds) == 0 {
		return "nothing"
	}
	var parts []string
	for _, k := range t.kinds {
		parts = append(parts, fmt.Sprintf("%d %s", t.n[k], k))
	}
	return fmt.Sprintf("%s: %s", strings.Join(parts, ", "), size(t.bytes))
}

// age is a duration that may also be given in days.
type age time.Duration

// UnmarshalText parses "7d", or a duration of time.ParseDuration.
func (a *age) UnmarshalText(text []byte) error {
	s := string(text)
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || d < 0 {
		return fmt.Errorf("invalid age %q; write 90m, 12h or 7d", s)
	}
	*a = age(d)
	return nil
}

func sum(items []cache.Item) (bytes int64) {
	for _, i := range items {
		bytes += i.Bytes
	}
	return bytes
}

// size returns a human-readable number of bytes.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(bytes)/(1<<10))
}

// ago returns the human-readable time since t.
func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
