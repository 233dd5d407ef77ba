package baseline_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/internal/errkind"
)

// A small hostile file uses at most a few times its own size in memory.
func TestHostileBaselines(t *testing.T) {
	const size = 4 << 20
	many := func(element string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			b.WriteString(strings.ReplaceAll(element, "#", fmt.Sprint(i)))
		}
		return b.String()
	}
	in := func(cells string) string {
		return `{"faultline_baseline": 1, "kernels": [{"name": "k", "cells": {` + cells + `}}]}`
	}
	log := strings.Repeat(`~00000000\n`, 1000) // a thousand times the line that it represents
	for name, c := range map[string]struct{ text, says string }{
		"kernels":         {`{"faultline_baseline": 1, "kernels": [` + many(`{},`) + `{}]}`, "more than 1000 kernels"},
		"cells":           {in(many(`"#": {},`) + `"x": {}`), "more than 200000 cells"},
		"cells of some":   {`{"faultline_baseline": 1, "kernels": [` + many(`{"name": "#", "cells": {"a": {}, "b": {}, "c": {}}},`) + `{}]}`, "more than 1000 kernels"},
		"one shared line": {`{"faultline_baseline": 1, "said": {"~00000000": "` + many("x") + `"}, "kernels": [{"name": "k", "cells": {"a": {"did": "0-", "witnesses": {"log": "` + log + `"}}}}]}`, "more than 16777216 bytes"},
		"shared by all": {`{"faultline_baseline": 1, "said": {"~00000000": "` + strings.Repeat("x", 16<<10) + `"}, "kernels": [{"name": "k", "cells": {` +
			many(`"#": {"did": "0-", "witnesses": {"log": "`+log+`"}},`) + `"x": {"did": "0-"}}}]}`, "bytes of kernel logs"},
		"a list of cells": {`{"faultline_baseline": 1, "kernels": [{"name": "k", "cells": []}]}`, "want a {"},
		"unknown fields":  {in(`"a": {"more": 1}`), `unknown field "more"`},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := baseline.Decode([]byte(c.text))
			runtime.ReadMemStats(&after)
			if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %.300v, want a request error with %q", err, c.says)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 700 {
				t.Errorf("got %d MiB for a file of %d MiB, want at most 700 MiB", used, len(c.text)>>20)
			}
		})
	}
}
