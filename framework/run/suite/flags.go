package suite

import (
	"flag"
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/change"
)

// Flags of a suite's binary. faultline run sets them; whoever uses Ginkgo
// directly gives them behind --, as in
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

func init() {
	flag.StringVar(&flags.kernel, "faultline.kernel", "apt:bookworm", "the kernel to observe, as a `spec`")
	flag.StringVar(&flags.name, "faultline.name", "", "what to call the kernel")
	flag.StringVar(&flags.digest, "faultline.digest", "", "refuse the kernel if it is not the one with this `digest`")
	flag.StringVar(&flags.cached, "faultline.cached", "", "the `key` of the kernel in the cache, so that it is not resolved again")
	flag.StringVar(&flags.template, "faultline.template", "", "the `key` of the standard guests' template, which is in the cache and was looked at")
	flag.StringVar(&flags.accel, "faultline.accel", "tcg", "what runs the guests: tcg or kvm; scenarios that need TCG get it")
	flag.StringVar(&flags.console, "faultline.console", "", "a `folder` for the guests' consoles, one file a scenario")
	flag.Var(&flags.has, "faultline.has", "`change=true|false`: claim that the kernel has a change, or lacks it; what contradicts that is a finding; may be repeated")
	flag.BoolVar(&flags.fresh, "faultline.fresh", false, "boot a guest for each scenario, instead of cloning a template")
	flag.BoolVar(&flags.list, "faultline.list", false, "print the scenarios as JSON and run nothing")
	flag.BoolVar(&flags.follow, "faultline.follow", false, "tell of guests and steps too among the events")
	flag.IntVar(&flags.pause, "faultline.pause", 0, "wait before `step` N of a scenario, from 1, with its guest open for a person; 0 waits before none")
	flag.IntVar(&flags.resume, "faultline.resume", 0, "a file `descriptor` of which a line ends the wait of --faultline.pause")
	flag.StringVar(&flags.busybox, "faultline.busybox", "", "a static BusyBox, a `file` of this machine: the shell of a guest that waits")
	flag.IntVar(&flags.events, "faultline.events", 0, "a file `descriptor` to write events to, one JSON value a line")
}
