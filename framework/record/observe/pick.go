package observe

// Comparable reports whether a cell holds an observation: an infrastructure failure
// or a skipped scenario is never a difference.
func (c Cell) Comparable() bool {
	return c.Verdict == Expected || c.Verdict == Unexpected
}

// Pick returns the cell that represents the attempts at a scenario on a kernel: the
// first one that observed something, else the first. Attempts are compared with each
// other elsewhere. It returns false if there is none.
func Pick(cells []Cell, kernel, scenario string) (Cell, bool) {
	var best Cell
	found := false
	for _, c := range cells {
		if c.Kernel != kernel || c.Scenario != scenario {
			continue
		}
		better := c.Comparable() && !best.Comparable() ||
			c.Comparable() == best.Comparable() && c.Attempt < best.Attempt
		if !found || better {
			best, found = c, true
		}
	}
	return best, found
}
