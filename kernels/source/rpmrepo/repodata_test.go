package rpmrepo

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// A list is read one package at a time, and what is kept of it is bounded.
func TestPackagesHostile(t *testing.T) {
	element := func(name string) string {
		return fmt.Sprintf(`<package type="rpm"><name>%s</name><arch>x86_64</arch></package>`, name)
	}
	repeat := func(text string, n int) io.Reader {
		var all []io.Reader
		for range n {
			all = append(all, strings.NewReader(text))
		}
		return io.MultiReader(all...)
	}
	long := element(strings.Repeat("x", 3<<20))
	for name, c := range map[string]struct {
		list io.Reader
		want int
		err  string
	}{
		"usual":                  {repeat("<x/>"+element("kernel"), 3), 3, ""},
		"another processor":      {strings.NewReader(strings.ReplaceAll(element("kernel"), "x86_64", "aarch64")), 0, ""},
		"many packages":          {repeat(element("kernel"), mostKernels+1), 0, "it has more than 200000 packages"},
		"long names":             {repeat(long, 50), 0, "names of more than 134217728 bytes"},
		"an endless package":     {repeat("<package "+strings.Repeat("x", 1<<20), 10), 0, "token too long"},
		"without its end":        {strings.NewReader(element("kernel")[:50]), 0, "unexpected EOF"},
		"nested, and not closed": {strings.NewReader("<package >" + strings.Repeat("<a>", 100_000) + "</package>"), 0, "XML syntax error"},
		"no package, no text":    {strings.NewReader(""), 0, ""},
	} {
		all, err := packages(t.Context(), c.list)
		if len(all) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %d packages, error %v; want %d, %q", name, len(all), err, c.want, c.err)
		}
	}
}
