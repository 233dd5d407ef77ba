// Command probe is a program that the tests run in guests.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: probe args|segv|sleep|panic|tap|skip")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "args": // prints its arguments and its input
		in, _ := io.ReadAll(os.Stdin)
		fmt.Println("args " + strings.Join(os.Args[2:], "|"))
		fmt.Printf("stdin %q\n", in)
		fmt.Fprintln(os.Stderr, "this is stderr")
		os.Exit(42)
	case "segv": // dies of SIGSEGV, not in Go's handler (rt_sigaction(2): zeros are SIG_DFL)
		var act [4]uint64
		syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGSEGV), uintptr(unsafe.Pointer(&act)), 0, 8, 0, 0)
		syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		time.Sleep(time.Minute)
	case "sleep": // prints that it runs, and continues
		fmt.Println("running")
		time.Sleep(10 * time.Minute)
	case "tap": // reports tests like a kselftest; one depends on the release
		var u syscall.Utsname
		syscall.Uname(&u)
		fmt.Println("TAP version 13\n1..3\n# Starting 3 tests from 1 test cases.\nok 1 - it runs\nok 2 a thing # SKIP there is none")
		if u.Release[2] == '1' && u.Release[3] == '.' { // 6.1.
			fmt.Fprintln(os.Stderr, "# probe.c:7: it is too old")
			fmt.Println("not ok 3 new enough\n# Totals: pass:1 fail:1 skip:1")
			os.Exit(1)
		}
		fmt.Println("ok 3 new enough\n# Totals: pass:2 fail:0 skip:1")
	case "skip": // skips like a kselftest
		fmt.Println("nothing of that kind here")
		os.Exit(4)
	case "panic": // panics the kernel
		err := os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
		fmt.Println(err)
		time.Sleep(time.Minute)
	}
}
