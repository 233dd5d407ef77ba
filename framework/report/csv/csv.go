// Package csv writes a line a cell, for spreadsheets.
package csv

import (
	"encoding/csv"
	"io"

	"github.com/faultline/faultline/framework/results"
)

// Write writes scenario, kernel and verdict of each cell (RFC 4180).
func Write(w io.Writer, run results.Run, _ *results.Folder) error {
	c := csv.NewWriter(w)
	for _, cell := range run.Cells {
		if err := c.Write([]string{cell.Scenario, cell.Kernel, string(cell.Verdict)}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}
