package main

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reaper collects the exit statuses of PID 1's children: those that it started and
// those that were reparented to it. It is the only caller of wait4(2), because a wait
// for any child would steal the statuses that os/exec waits for.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan<- syscall.WaitStatus
	started chan struct{}
}

func newReaper() *reaper {
	r := &reaper{waiting: map[int]chan<- syscall.WaitStatus{}, started: make(chan struct{}, 1)}
	go r.reap()
	return r
}

// start starts a program. Its status is sent on the channel once.
func (r *reaper) start(path string, argv []string, attr *os.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	files := make([]uintptr, len(attr.Files))
	for i, f := range attr.Files {
		files[i] = f.Fd()
	}
	// Locked across the fork, so that the child can't be reaped before it is registered.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Files: files, Sys: attr.Sys})
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	r.waiting[pid] = ended
	select {
	case r.started <- struct{}{}:
	default:
	}
	return pid, ended, nil
}

func (r *reaper) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.ECHILD:
			<-r.started // no children until a program is started
		case err == nil:
			r.mu.Lock()
			if ended := r.waiting[pid]; ended != nil {
				ended <- syscall.WaitStatus(status)
				delete(r.waiting, pid)
			}
			r.mu.Unlock()
		}
	}
}
