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
	"slices"

	"golang.org/x/sys/unix"

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
			if err := quiet(); err != nil {
				return err
			}
			runtime.UnlockOSThread() // the agent may run anywhere, which is less work
			return serve(args[1])
		case "victim":
			return victim.Serve(wire.Disposition(args[1]), victim.FD(0), victim.FD(1))
		}
	}
	return errors.New("usage: agent serve PORT|-, or agent victim handle|once|default|ignore|block")
}

// runtimeSettings keep the Go runtime from doing by itself what it does once in a
// while: in each clone it would be for the first time, which is dear under TCG. It
// collects nothing before it has to; of two processors one is idle, so that none is
// taken away during a system call.
var runtimeSettings = []string{
	"GODEBUG=asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0", "GOGC=off", "GOMEMLIMIT=128MiB", "GOMAXPROCS=2",
}

// quiet starts the agent anew with them, because a program can't set them itself.
func quiet() error {
	if slices.Contains(os.Environ(), runtimeSettings[0]) {
		victim.Quiet()
		return nil
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), runtimeSettings...))
}
