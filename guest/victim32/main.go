// Command victim32 is a victim as a 32-bit process (GOARCH=386): the kernel passes its
// handlers the 32-bit siginfo_t. The agent starts it where the host asks for one.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// A victim must stay on the main thread: see guest/agent.
func init() { runtime.LockOSThread() }

func main() {
	err := errors.New("usage: victim32 handle|once|default|ignore|block")
	if len(os.Args) == 2 {
		err = victim.Serve(wire.Disposition(os.Args[1]), victim.FD(0), victim.FD(1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "victim32:", err)
		os.Exit(1)
	}
}
