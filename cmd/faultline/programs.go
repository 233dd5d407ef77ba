package main

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/internal/errkind"
)

// programHelp explains --program.
const programHelp = `--program 'FILE ARGUMENT...' adds the scenario program/NAME. NAME is the file name and the
arguments in lower case; other characters than a-z and 0-9 become - ('COW_test -v': program/cow-test-v). The program
reports its tests in TAP or KTAP, or its result through the exit status (0: passed; 4, 32 or 77:
skipped; other: failed); see docs/guides/programs.md.
`

type programsFlag struct {
	Program []string `placeholder:"'FILE [ARG...]'" sep:"none" help:"Also run this static program (repeatable)."`
}

// programs returns the programs, with their digests.
func (c programsFlag) programs() (list []program.Program, err error) {
	for _, given := range c.Program {
		fields := strings.Fields(given)
		if len(fields) == 0 {
			return nil, errkind.Requestf("--program is empty; write --program ./program")
		}
		path, err := static(fields[0])
		if err != nil {
			return nil, fmt.Errorf("--program: %w", err)
		}
		p, err := program.New(path, fields[1:]...)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, program.Check(list)
}
