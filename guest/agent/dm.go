package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// mapDevice executes wire.DM. It uses dm_ioctl.h directly: the Go libraries for it
// support only the target types for which they define a struct.
func mapDevice(q *wire.DM) (*wire.Mapper, error) {
	const control = "/dev/mapper/control"
	fd, err := unix.Open(control, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", control, err)
	}
	defer unix.Close(fd)

	var probe unix.DmIoctl
	if len(q.Name) == 0 || len(q.Name) >= len(probe.Name) {
		return nil, fmt.Errorf("device-mapper name %q: want 1 to %d bytes", q.Name, len(probe.Name)-1)
	}
	if len(q.Table) == 0 {
		if _, err := dmIoctl(fd, unix.DM_DEV_REMOVE, q.Name, nil); err != nil {
			return nil, fmt.Errorf("remove device-mapper device %s: %w", q.Name, err)
		}
		return &wire.Mapper{}, nil
	}

	made := true
	if _, err := dmIoctl(fd, unix.DM_DEV_CREATE, q.Name, nil); errors.Is(err, unix.EBUSY) {
		made = false // the device exists: reload its table
	} else if err != nil {
		return nil, fmt.Errorf("create device-mapper device %s: %w", q.Name, err)
	}
	if _, err := dmIoctl(fd, unix.DM_TABLE_LOAD, q.Name, q.Table); err != nil {
		if made {
			if _, err := dmIoctl(fd, unix.DM_DEV_REMOVE, q.Name, nil); err != nil {
				return nil, fmt.Errorf("remove device-mapper device %s after its table was refused: %w", q.Name, err)
			}
		}
		return &wire.Mapper{Errno: errno(err)}, nil
	}
	// Without DM_SUSPEND_FLAG this resumes, and with a loaded table it suspends
	// first (drivers/md/dm-ioctl.c:do_resume).
	head, err := dmIoctl(fd, unix.DM_DEV_SUSPEND, q.Name, nil)
	if err != nil {
		return nil, fmt.Errorf("resume device-mapper device %s: %w", q.Name, err)
	}
	return &wire.Mapper{Node: fmt.Sprintf("/dev/dm-%d", unix.Minor(head.Dev))}, nil
}

// dmIoctl issues a device-mapper ioctl for a device and returns the header that the
// kernel filled in.
func dmIoctl(fd int, request uintptr, name string, table []wire.Target) (unix.DmIoctl, error) {
	const headSize = int(unsafe.Sizeof(unix.DmIoctl{}))
	targets := dmTargets(table)
	// uint64 elements, so that the structs in the buffer are aligned.
	words := make([]uint64, (headSize+len(targets)+7)/8)
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
	copy(buf[headSize:], targets)
	head := (*unix.DmIoctl)(unsafe.Pointer(&words[0]))
	head.Version = [3]uint32{4, 0, 0}
	head.Data_size = uint32(len(buf))
	head.Data_start = uint32(headSize)
	head.Target_count = uint32(len(table))
	copy(head.Name[:], name)
	err := ioctl(fd, request, unsafe.Pointer(head))
	return *head, err
}

// dmTargets encodes a table for DM_TABLE_LOAD: for each target a struct
// dm_target_spec, then its parameters, NUL-terminated, padded to a multiple of 8.
func dmTargets(table []wire.Target) []byte {
	var b []byte
	for _, t := range table {
		var kind [16]byte
		copy(kind[:len(kind)-1], t.Type)
		size := int(unsafe.Sizeof(unix.DmTargetSpec{})) + len(t.Params) + 1
		size = (size + 7) &^ 7
		at := len(b)
		b = binary.NativeEndian.AppendUint64(b, t.Start)
		b = binary.NativeEndian.AppendUint64(b, t.Length)
		b = binary.NativeEndian.AppendUint32(b, 0) // status
		b = binary.NativeEndian.AppendUint32(b, uint32(size))
		b = append(b, kind[:]...)
		b = append(b, t.Params...)
		b = append(b, make([]byte, at+size-len(b))...)
	}
	return b
}
