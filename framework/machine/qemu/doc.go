// Package qemu runs one QEMU process: its arguments, its monitor (QMP, with go-qemu), its
// console and its end. A QEMU process never outlives the process that started it. The
// package does not know what runs in the machine; package vm does.
package qemu
