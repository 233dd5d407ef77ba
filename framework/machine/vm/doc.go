// Package vm owns a guest's life: what it is made of, boot, freezing into a
// template, starting clones, talking to its agent, looking in over SSH, and the
// end. Trouble with any of these is a *GuestError, told apart by kind and never
// mistaken for a behaviour of the kernel. The package knows no scenarios.
package vm
