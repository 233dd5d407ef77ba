// Package gdb is a client for QEMU's gdb stub, with what is needed to stop a guest at an
// access: watchpoints, stop replies, reading and writing memory and registers, and
// continuing. It uses a given connection and does not depend on guests or poison. The caller's
// context limits every wait.
//
// The protocol is described in the GDB manual's appendix "GDB Remote Serial Protocol";
// the stub's extensions are in gdbstub.c of QEMU.
package gdb
