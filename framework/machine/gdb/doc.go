// Package gdb is a client of QEMU's gdb stub, as far as stopping a guest at a
// chosen access needs one: watchpoints, stop replies, reading memory and
// registers, going on. It knows no guests and no poison; it is given a
// connection. Every wait is bounded by the caller's context.
//
// The protocol is that of the GDB manual's appendix "GDB Remote Serial
// Protocol"; what the stub does beyond it is in gdbstub.c of QEMU.
package gdb
