package run

import (
	"sync"

	"github.com/faultline/faultline/framework/record/observe"
)

// progress passes on the progress of a run, one call at a time.
type progress struct {
	mu sync.Mutex
	to Progress
}

func (p *progress) phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Phase(name)
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Say(format, args...)
}

func (p *progress) doing(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Doing(what)
}

func (p *progress) cell(c observe.Cell, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to.Cell(c, done, total)
}
