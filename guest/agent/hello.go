package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/victim"
	"github.com/faultline/faultline/guest/wire"
)

// rndReseedCRNG is RNDRESEEDCRNG of include/uapi/linux/random.h.
const rndReseedCRNG = 0x5207

// hello executes wire.Hello.
func (a *agent) hello(h *wire.Hello) (*wire.HelloReply, error) {
	if h.UnixNano != 0 {
		ts := unix.NsecToTimespec(h.UnixNano)
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil && !errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("set the clock: %w", err)
		}
	}
	if len(h.Entropy) > 0 {
		if err := addEntropy(h.Entropy); err != nil {
			return nil, err
		}
	}
	a.hold(h.Hold)
	if h.Spare > 0 {
		if err := a.prepare(h.Spare); err != nil {
			return nil, err
		}
		victim.Stock()
	}

	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return nil, fmt.Errorf("read the time since boot: %w", err)
	}
	seq, err := a.kmsg.end()
	if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return nil, err
	}
	var tainted uint64
	if taint, err := a.readFile(&wire.ReadFile{Path: "/proc/sys/kernel/tainted"}); err == nil {
		tainted, _ = strconv.ParseUint(strings.TrimSpace(string(taint.Data)), 10, 64)
	}
	return &wire.HelloReply{
		Taint:   tainted,
		Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]),
		Uptime:  time.Duration(up.Nano()).Seconds(),
		KmsgSeq: seq,
	}, nil
}

// addEntropy adds random bytes to the kernel's pool, credits them, and reseeds the
// generator at once: clones of a frozen guest would otherwise draw the same
// numbers. Without CAP_SYS_ADMIN the bytes are only mixed in.
func addEntropy(entropy []byte) error {
	const most = 512
	entropy = entropy[:min(len(entropy), most)]
	fd, err := unix.Open("/dev/urandom", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open /dev/urandom: %w", err)
	}
	defer unix.Close(fd)
	info := struct { // struct rand_pool_info
		bits, bytes int32
		buf         [most]byte
	}{bits: int32(8 * len(entropy)), bytes: int32(len(entropy))}
	copy(info.buf[:], entropy)
	err = ioctl(fd, unix.RNDADDENTROPY, unsafe.Pointer(&info))
	if errors.Is(err, unix.EPERM) {
		if _, err := unix.Write(fd, entropy); err != nil {
			return fmt.Errorf("write to /dev/urandom: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("/dev/urandom: RNDADDENTROPY: %w", err)
	}
	// Kernels before 4.14 do not have this ioctl; they reseed on their own.
	if err := ioctl(
		fd,
		rndReseedCRNG,
		nil,
	); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) &&
		!errors.Is(err, unix.EPERM) {
		return fmt.Errorf("/dev/urandom: RNDRESEEDCRNG: %w", err)
	}
	return nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}
