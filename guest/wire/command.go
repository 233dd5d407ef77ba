package wire

import (
	"strings"
	"unicode"
)

// Command is the content of an SSH exec request to PID 1. A guest has no shell, so
// arguments arrive unchanged: on the wire they are separated by NUL bytes, after
// a verb.
type Command struct {
	// Put is the path of an executable file to write from the session's input.
	Put string
	// Start runs Argv independently of the session, which it may outlive.
	Start bool
	Argv  []string
}

const (
	verbPut   = "faultline-put"
	verbStart = "faultline-start"
	verbRun   = "faultline-run"
)

// String returns the command as sent in the exec request.
func (c Command) String() string {
	switch {
	case c.Put != "":
		return verbPut + "\x00" + c.Put
	case c.Start:
		return verbStart + "\x00" + strings.Join(c.Argv, "\x00")
	}
	return verbRun + "\x00" + strings.Join(c.Argv, "\x00")
}

// ParseCommand parses an exec request. A command that String did not produce (typed into
// an ordinary ssh client) is split at white space, and at NUL bytes, which no
// argument can contain.
func ParseCommand(s string) Command {
	verb, rest, found := strings.Cut(s, "\x00")
	if found && rest != "" {
		switch verb {
		case verbPut:
			if !strings.Contains(rest, "\x00") {
				return Command{Put: rest}
			}
		case verbStart:
			return Command{Start: true, Argv: strings.Split(rest, "\x00")}
		case verbRun:
			return Command{Argv: strings.Split(rest, "\x00")}
		}
	}
	argv := strings.FieldsFunc(s, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })
	if len(argv) == 0 {
		argv = []string{"/bin/sh"}
	}
	return Command{Argv: argv}
}
