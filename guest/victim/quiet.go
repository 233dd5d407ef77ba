package victim

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Quiet lets the Go runtime finish its startup work, then stops its threads from
// polling a hundred times a second, as runtime.sysmon does while the main thread is
// in a system call that bypasses the scheduler: with enough timer slack a timer
// waits until the CPU is awake for another reason (proc_pid_timerslack_ns(5)). On
// kernels without that file guests are busier. Quiet does not use package os, which
// would keep files open.
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
