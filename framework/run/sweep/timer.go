package sweep

import (
	"time"

	"github.com/faultline/faultline/framework/run"
)

// timer measures the phases of a run.
type timer struct {
	run.Progress
	phases []Phase
	begun  time.Time
}

func (t *timer) Phase(name string) {
	t.end()
	t.phases = append(t.phases, Phase{Name: name})
	t.begun = time.Now()
	t.Progress.Phase(name)
}

// end completes the last phase.
func (t *timer) end() {
	if n := len(t.phases); n > 0 && t.phases[n-1].Took == 0 {
		t.phases[n-1].Took = time.Since(t.begun)
	}
}
