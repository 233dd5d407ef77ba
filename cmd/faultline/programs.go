package main

import (
	"fmt"
	"strings"

	"github.com/faultline/faultline/framework/program"
	"github.com/faultline/faultline/internal/fault"
)

type programsFlag struct {
	Program []string `placeholder:"FILE" sep:"none" help:"A static program to run as a scenario of its own, program/NAME, may be repeated: 'FILE ARGUMENT...'. It tells its tests in TAP or KTAP, or ends with 0 (4 where it skips)."`
}

// use has the suites run the programs.
func (c programsFlag) use() error {
	var list []program.Program
	for _, given := range c.Program {
		words := strings.Fields(given)
		if len(words) == 0 {
			return fault.Requestf("--program is empty; write --program ./program")
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
