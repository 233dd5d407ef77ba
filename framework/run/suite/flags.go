package suite

import (
	"encoding/json"
	"flag"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/generated"
	"github.com/faultline/faultline/framework/record/program"
)

// Flags of a suite's binary. faultline run sets them; with Ginkgo they follow --, as in
//
//	ginkgo ./suites/dax -- --faultline.kernel=apt:bookworm/6.12
var flags struct {
	kernel, name, accel string
	digest              string
	cached              string
	template            string
	console             string
	has                 hasFlag
	fresh               bool
	list                bool
	events              int
	follow              bool
	pause               int
	resume              int
	busybox             string
	programs            []program.Program
	generated           []generated.Program
}

type hasFlag map[string]bool

func (h *hasFlag) String() string { return fmt.Sprint(map[string]bool(*h)) }

func (h *hasFlag) Set(s string) error {
	id, value, _ := strings.Cut(s, "=")
	if _, err := change.All().ByID(id); err != nil {
		return err
	}
	if *h == nil {
		*h = hasFlag{}
	}
	(*h)[id] = value != "false"
	return nil
}

// Generated returns the generated programs.
func Generated() []generated.Program { return flags.generated }

// Programs returns the user's programs.
func Programs() []program.Program { return flags.programs }

func init() {
	flag.StringVar(&flags.kernel, "faultline.kernel", "apt:bookworm", "the `spec` of the kernel to observe")
	flag.StringVar(&flags.name, "faultline.name", "", "the `name` of the kernel in results")
	flag.StringVar(&flags.digest, "faultline.digest", "", "fail if the kernel does not have this `digest`")
	flag.StringVar(&flags.cached, "faultline.cached", "", "the `key` of the kernel in the cache; it is not resolved then")
	flag.StringVar(&flags.template, "faultline.template", "",
		"the `key` of the standard guests' template, which is in the cache and was verified")
	flag.StringVar(&flags.accel, "faultline.accel", "tcg",
		"the accelerator of the guests: tcg or kvm; scenarios that need TCG use it")
	flag.StringVar(&flags.console, "faultline.console", "", "a `folder` for the guests' consoles, one file per scenario")
	flag.Var(
		&flags.has,
		"faultline.has",
		"`change=true|false`: claim that the kernel has, or does not have, a change; a contradiction is a finding; repeatable",
	)
	flag.BoolVar(&flags.fresh, "faultline.fresh", false, "boot a guest for each scenario, instead of cloning a template")
	flag.BoolVar(&flags.list, "faultline.list", false, "print the scenarios as JSON and run nothing")
	flag.BoolVar(&flags.follow, "faultline.follow", false, "also send events for guests and steps")
	flag.IntVar(&flags.pause, "faultline.pause", 0,
		"wait before this `step` of a scenario, from 1, with its guest open for debugging (0: do not wait)")
	flag.IntVar(&flags.resume, "faultline.resume", 0,
		"a file `descriptor`; a line read from it ends the wait of --faultline.pause")
	flag.StringVar(&flags.busybox, "faultline.busybox", "",
		"a `file` on this machine, a static BusyBox: the shell of a guest that waits")
	flag.Func("faultline.programs", "the user's programs, as a JSON `list`; each is a scenario of the suite programs",
		func(s string) error { return json.Unmarshal([]byte(s), &flags.programs) })
	flag.Func("faultline.generated", "the id of a generated program, a scenario of the suite generated; repeatable",
		func(id string) error {
			p, err := generated.Parse(id)
			flags.generated = append(flags.generated, p)
			return err
		})
	flag.IntVar(&flags.events, "faultline.events", 0, "a file `descriptor` to write events to, one JSON value per line")
}
