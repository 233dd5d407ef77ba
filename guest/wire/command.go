package wire

import (
	"strings"
	"unicode"
)

// Command is what an SSH exec request asks of PID 1. There is no shell in a
// guest, so that arguments arrive as they were given: on the wire they are
// separated by NUL bytes, behind a verb.
type Command struct {
	// Put is the path of a file to write from the session's input, executable.
	Put string
	// Start runs Argv on its own, beyond the end of the session.
	Start bool
	Argv  []string
}

const (
	verbPut   = "faultline-put"
	verbStart = "faultline-start"
	verbRun   = "faultline-run"
)

// String is the command as it goes into the exec request.
func (c Command) String() string {
	switch {
	case c.Put != "":
		return verbPut + "\x00" + c.Put
	case c.Start:
		return verbStart + "\x00" + strings.Join(c.Argv, "\x00")
	}
	return verbRun + "\x00" + strings.Join(c.Argv, "\x00")
}

// ParseCommand reads an exec request. One that String did not make (typed into
// an ordinary ssh client) is split at white space, and at NUL bytes, which no
// argument can hold.
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
