// Package qemu owns one QEMU process: its arguments, its monitor (QMP through
// go-qemu), its console and its end. It knows machines and devices, not what
// runs in them; a guest's life is package vm's. Nothing it starts outlives the
// process that uses it, however that one ends.
package qemu
