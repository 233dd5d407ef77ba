package kernels

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/faultline/faultline/internal/fault"
)

// SpecError says that the request was wrong: the spec, or what it points at.
// Every other error of this package is trouble with the rig.
type SpecError struct {
	// What is the spec, or the place in a matrix file (file:line:column).
	What string
	// Problem is what is wrong with it; WayOut what to do next.
	Problem, WayOut string
	// Err is the cause, if there is one.
	Err error
}

func (e *SpecError) Error() string {
	s := e.What + ": " + e.Problem
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.WayOut != "" {
		s += "; " + e.WayOut
	}
	return s
}

// Fault implements fault.Kinder.
func (e *SpecError) Fault() fault.Kind { return fault.Request }

func (e *SpecError) Unwrap() error { return e.Err }

// ToolError says that a program is not installed.
type ToolError struct {
	// Tool is the program, Package the Debian package that has it.
	Tool, Package string
}

// Command is what installs the tool.
func (e *ToolError) Command() string {
	c := "apt-get install -y " + e.Package
	if os.Geteuid() != 0 {
		c = "sudo " + c
	}
	return c
}

func (e *ToolError) Error() string {
	return fmt.Sprintf("run %s: it is not installed (Debian package %s); run: %s", e.Tool, e.Package, e.Command())
}

// Fault implements fault.Kinder.
func (e *ToolError) Fault() fault.Kind { return fault.Tool }

// tools maps the programs this package runs to the packages that have them.
var tools = map[string]string{"apt-get": "apt", "apt-config": "apt", "dpkg-deb": "dpkg", "depmod": "kmod"}

// tool finds a program. The system folders are not in every user's PATH.
func tool(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if p, err := exec.LookPath(dir + name); err == nil {
			return p, nil
		}
	}
	return "", &ToolError{Tool: name, Package: tools[name]}
}

// quoted lists names for a message: "a", "b" or "c".
func quoted(names []string, or string) string {
	var b strings.Builder
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" " + or + " ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
