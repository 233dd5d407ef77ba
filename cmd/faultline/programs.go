package main

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/internal/errkind"
)

// programHelp says what a program of --program has to do.
const programHelp = `--program 'FILE ARGUMENT...' adds a scenario, program/NAME. The program reports its tests in TAP or
KTAP, or its result by the exit status (0: passed, 4: skipped); see docs/guides/programs.md.
`

type programsFlag struct {
	Program []string `placeholder:"FILE" sep:"none" help:"Also run this static program (repeatable)."`
}

// use has the suites run the programs.
func (c programsFlag) use() error {
	var list []program.Program
	for _, given := range c.Program {
		words := strings.Fields(given)
		if len(words) == 0 {
			return errkind.Requestf("--program is empty; write --program ./program")
		}
		path, err := static(words[0])
		if err != nil {
			return fmt.Errorf("--program: %w", err)
		}
		p, err := program.New(path, words[1:]...)
		if err != nil {
			return err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil
	}
	return program.Use(list)
}
