package victim

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Quiet lets the Go runtime finish what it starts with, and then keeps its threads
// from looking around a hundred times a second, as one does for as long as the main
// thread is in a system call that the runtime was not told of (runtime.sysmon): with
// so much slack a timer waits for the processor to be awake for another reason
// (proc_pid_timerslack_ns(5)). A kernel that does not have that has busier guests.
// It uses nothing of package os, which would keep files of its own open.
func Quiet() {
	for range 4 { // time.Sleep would open files
		runtime.Gosched()
	}
	tasks, err := unix.Open("/proc/self/task", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(tasks)
	buf := make([]byte, 4096)
	n, err := unix.Getdents(tasks, buf)
	if err != nil {
		return
	}
	_, _, names := unix.ParseDirent(buf[:n], -1, nil)
	for _, name := range names {
		if name == fmt.Sprint(unix.Gettid()) {
			continue
		}
		if fd, err := unix.Open("/proc/"+name+"/timerslack_ns", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			_, _ = FD(fd).Write([]byte("1000000000"))
			unix.Close(fd)
		}
	}
}
