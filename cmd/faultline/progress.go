package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/internal/sanitize"
)

// progressLines prints the progress of a run: on a terminal in one line that it
// overwrites, elsewhere in plain lines, few enough for a log.
type progressLines struct {
	w       io.Writer
	tty     bool
	started time.Time

	mu    sync.Mutex
	doing string
	done  int
	total int
	bad   int
	last  observe.Cell // the last one printed
	// phases are the phases of the run so far; the last one is in progress.
	phases []phase
	quit   chan struct{}
	once   sync.Once
}

// phase is a phase of a run, with its start time.
type phase struct {
	name  string
	begun time.Time
}

func newProgress(w io.Writer, tty bool) *progressLines {
	p := &progressLines{w: w, tty: tty, started: time.Now(), quit: make(chan struct{})}
	if tty {
		go func() {
			t := time.NewTicker(200 * time.Millisecond)
			defer t.Stop()
			for {
				select {
				case <-t.C:
					p.mu.Lock()
					p.draw()
					p.mu.Unlock()
				case <-p.quit:
					return
				}
			}
		}()
	}
	return p
}

// clearLine returns to the start of the line and erases it (ECMA-48 EL).
const clearLine = "\r\x1b[K"

func (p *progressLines) stop() {
	p.once.Do(func() {
		close(p.quit)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.tty {
			fmt.Fprint(p.w, clearLine)
		}
		p.tty = false
	})
}

func (p *progressLines) seconds() float64 { return time.Since(p.started).Seconds() }

// Phase starts a phase of the run.
func (p *progressLines) Phase(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phases = append(p.phases, phase{name, time.Now()})
}

// took returns the duration of the run, and of its phases, if it has any:
// "6.1 s (boot 5.0 s, cells 0.9 s)".
func (p *progressLines) took() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var parts []string
	for i, ph := range p.phases {
		end := now
		if i+1 < len(p.phases) {
			end = p.phases[i+1].begun
		}
		parts = append(parts, fmt.Sprintf("%s %.1f s", ph.name, end.Sub(ph.begun).Seconds()))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%.1f s", now.Sub(p.started).Seconds())
	}
	return fmt.Sprintf("%.1f s (%s)", now.Sub(p.started).Seconds(), strings.Join(parts, ", "))
}

// draw draws the status line.
func (p *progressLines) draw() {
	if !p.tty {
		return
	}
	status := p.doing
	if p.total > 0 {
		status = fmt.Sprintf("%d of %d cells", p.done, p.total)
		if p.bad > 0 {
			status += fmt.Sprintf(", %d not as expected", p.bad)
		}
		if p.doing != "" {
			status += ", " + p.doing
		}
	}
	fmt.Fprintf(p.w, "%s%5.1f s  %s", clearLine, p.seconds(), sanitize.Line(status))
}

// line prints a permanent line, which may contain output of a guest.
func (p *progressLines) line(format string, args ...any) {
	if p.tty {
		fmt.Fprint(p.w, clearLine)
	}
	fmt.Fprintf(p.w, "%5.1f s  %s\n", p.seconds(), sanitize.Log(fmt.Sprintf(format, args...)))
}

// Say prints a line.
func (p *progressLines) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(format, args...)
	p.draw()
}

// Doing sets the current activity.
func (p *progressLines) Doing(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = what
	if p.tty {
		p.draw()
	} else {
		p.line("%s", what)
	}
}

// Cell counts a cell, and prints those that are not as expected.
func (p *progressLines) Cell(c observe.Cell, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total, p.doing = done, total, ""
	switch {
	case c.Verdict == observe.Unexpected || c.Verdict == observe.Infra:
		p.bad++
		// A kernel that does not boot has the same message for every scenario.
		if c.Verdict == observe.Infra && c.Kernel == p.last.Kernel && c.Message == p.last.Message {
			break
		}
		p.last = c
		message := c.Message
		if c.Verdict == observe.Infra {
			message, _, _ = strings.Cut(message, "\n") // the results have the full message
		}
		p.line("%s on %s: %s", c.Scenario, c.Kernel, message)
	case !p.tty && (done == total || done%20 == 0):
		p.line("%d of %d cells", done, total)
	}
	p.draw()
}
