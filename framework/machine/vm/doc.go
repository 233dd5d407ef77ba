// Package vm manages guests: their parts, their boot, templates and clones, requests to
// the agent, SSH, and their end. An error in any of these is a *GuestError with a kind,
// and never a behaviour of the kernel under test. The package does not depend on scenarios.
package vm
