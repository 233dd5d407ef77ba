// Command agent runs in the guest. It serves the requests of guest/wire from
// the host, on a serial port, and owns the victims. It knows no scenarios and
// is not process 1.
//
//	agent serve /dev/vport0p1  serve the host on a virtio serial port
//	agent serve -            the same on stdin and stdout
//	agent victim DISPOSITION what the agent starts a victim as
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// A victim must stay on the main thread, and only an init function still knows
// that it runs there.
func init() { runtime.LockOSThread() }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 {
		switch args[0] {
		case "serve":
			return serve(args[1])
		case "victim":
			return victim.Serve(wire.Disposition(args[1]), victim.FD(0), victim.FD(1))
		}
	}
	return errors.New("usage: agent serve PORT|-, or agent victim handle|default|ignore|block")
}
