package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/guest/wire"
)

// kernelLog reads /dev/kmsg. The descriptor stays open after the last record read, so
// that reading from a sequence number does not read the whole boot log again: clones of
// a frozen guest continue where the template stopped.
type kernelLog struct {
	fd   int // 0 until opened
	next uint64
}

// end reads to the end of the log and returns the sequence number there.
func (k *kernelLog) end() (uint64, error) {
	log, err := k.read(k.next)
	if err != nil {
		return 0, err
	}
	return max(log.Next, k.next), nil
}

// read executes wire.KernelLog (Documentation/ABI/testing/dev-kmsg).
func (k *kernelLog) read(since uint64) (*wire.Log, error) {
	if k.fd == 0 {
		fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open /dev/kmsg: %w", err)
		}
		k.fd = fd
	} else if since < k.next {
		if _, err := unix.Seek(k.fd, 0, unix.SEEK_SET); err != nil {
			return nil, fmt.Errorf("rewind /dev/kmsg: %w", err)
		}
	}
	log := &wire.Log{Next: since}
	buf := scratch[:16<<10]
	for {
		n, err := unix.Read(k.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return log, nil
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			continue // EPIPE: records were overwritten; the next read returns the oldest left
		case err != nil:
			return nil, fmt.Errorf("read /dev/kmsg: %w", err)
		case n == 0:
			return log, nil
		}
		seq, line, err := parseRecord(buf[:n])
		if err != nil {
			return nil, err
		}
		k.next = seq + 1
		if seq >= since {
			log.Lines = append(log.Lines, line)
			log.Next = seq + 1
		}
	}
}

// userFacility is the lowest priority of a record written by user space: the kernel
// reserves facility 0 for itself (devkmsg_write in kernel/printk/printk.c).
const userFacility = 1 << 3

// parseRecord parses a record: "priority,sequence,microseconds,flags[,…];text", then
// lines about the device concerned. Records from user space keep their priority in the
// line, as in dmesg --raw, which distinguishes them from the kernel's own.
func parseRecord(b []byte) (seq uint64, line string, err error) {
	head, text, ok := bytes.Cut(b, []byte{';'})
	if !ok {
		return 0, "", fmt.Errorf("kernel log: record %q has no text", b)
	}
	fields := bytes.SplitN(head, []byte{','}, 4)
	if len(fields) < 3 {
		return 0, "", fmt.Errorf("kernel log: record %q has no time", b)
	}
	priority, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil {
		return 0, "", fmt.Errorf("kernel log: priority: %w", err)
	}
	if seq, err = strconv.ParseUint(string(fields[1]), 10, 64); err != nil {
		return 0, "", fmt.Errorf("kernel log: sequence number: %w", err)
	}
	usec, err := strconv.ParseUint(string(fields[2]), 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("kernel log: time: %w", err)
	}
	text, _, _ = bytes.Cut(text, []byte{'\n'})
	// "[%5d.%06d] %s": package fmt would dominate what a clone executes here.
	out := make([]byte, 0, len(text)+32)
	if priority >= userFacility {
		out = append(strconv.AppendUint(append(out, '<'), priority, 10), '>')
	}
	out = padded(append(out, '['), usec/1e6, 5, ' ')
	out = padded(append(out, '.'), usec%1e6, 6, '0')
	return seq, string(append(append(out, "] "...), text...)), nil
}

// padded appends a number, padded to at least width characters.
func padded(b []byte, n uint64, width int, with byte) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	for range width - len(text) {
		b = append(b, with)
	}
	return append(b, text...)
}
