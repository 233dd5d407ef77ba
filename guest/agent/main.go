// Command agent runs in the guest. It serves the host's guest/wire requests
// on a serial port, and owns the victims. It does not depend on scenarios and
// is not process 1.
//
//	agent serve /dev/vport0p1  serve the host on a virtio serial port
//	agent serve -            the same on stdin and stdout
//	agent victim DISPOSITION how the agent starts a victim
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// A victim must stay on the main thread, and only an init function is known to
// run there.
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
			if err := quiet(); err != nil {
				return err
			}
			runtime.UnlockOSThread() // the agent may run on any thread, which is cheaper
			return serve(args[1])
		case "victim":
			return victim.Serve(wire.Disposition(args[1]), victim.FD(0), victim.FD(1))
		}
	}
	return errors.New("usage: agent serve PORT|-, or agent victim handle|once|default|ignore|block")
}

// runtimeSettings disable the Go runtime's occasional background work: in each clone
// it would run for the first time, which is slow under TCG. The garbage collector
// runs only when it must, and one of two Ps stays idle, so that none is retaken
// during a system call.
var runtimeSettings = []string{
	"GODEBUG=asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0", "GOGC=off", "GOMEMLIMIT=128MiB", "GOMAXPROCS=2",
}

// quiet re-executes the agent with runtimeSettings, because a program can't change
// them itself.
func quiet() error {
	if slices.Contains(os.Environ(), runtimeSettings[0]) {
		victim.Quiet()
		return nil
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), runtimeSettings...))
}
