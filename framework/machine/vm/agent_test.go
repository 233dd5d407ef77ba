package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/faultline/faultline/guest/wire"
)

// said returns a port on which a guest sends a text, independent of requests; the port is
// closed after it.
func said(t testing.TB, text io.Reader) *agentPort {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	go io.Copy(io.Discard, theirs)
	go func() {
		io.Copy(theirs, text)
		theirs.Close()
	}()
	return newAgentPort(ours)
}

// endless is a guest that sends bytes without end, and never the end of a line.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.sent.Add(int64(len(p)))
	return len(p), nil
}

func TestAgentWithoutALinesEnd(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, hear := range map[string]func(*agentPort) error{
		"before the agent": func(a *agentPort) error { _, err := a.line(t.Context()); return err },
		"as a reply": func(a *agentPort) error {
			a.serve()
			_, err := a.call(t.Context(), &wire.Request{Pmem: &wire.Pmem{}})
			return err
		},
	} {
		e := &endless{}
		if err := hear(said(t, e)); !errors.Is(err, errPortLost) || !errors.Is(err, wire.ErrTooLong) {
			t.Errorf("%s: got %v, want a lost port, by a line that is too long", name, err)
		}
		if sent := e.sent.Load(); sent > 2*wire.MaxLine {
			t.Errorf("%s: got %d bytes taken, want at most %d", name, sent, 2*wire.MaxLine)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 50*wire.MaxLine {
		t.Errorf("got %d bytes of memory used, want at most %d", used, 50*wire.MaxLine)
	}
}

func TestFirstWords(t *testing.T) {
	w := limitedOutput{most: outputBytes}
	for range 100 {
		if n, err := w.Write([]byte(strings.Repeat("x", 1000))); n != 1000 || err != nil {
			t.Fatalf("wrote %d bytes, error %v; want 1000 bytes", n, err)
		}
	}
	if w.kept.Len() != outputBytes || !w.more {
		t.Errorf("got %d bytes kept, more %t; want %d bytes, true", w.kept.Len(), w.more, outputBytes)
	}
	all := limitedOutput{most: 3}
	if fmt.Fprint(&all, "abc"); all.kept.String() != "abc" || all.more {
		t.Errorf("got %q, more %t; want abc, false", all.kept.String(), all.more)
	}
}

// What a guest sends instead of an answer is an error, and has no other effect.
func TestAgentSaysSomethingElse(t *testing.T) {
	hello := &wire.Request{Hello: &wire.Hello{}}
	read := &wire.Request{ReadFile: &wire.ReadFile{Path: "/x", Length: 1}}
	for name, c := range map[string]struct {
		says string
		req  *wire.Request
		want error
	}{
		"an empty answer":           {"1 -\n", hello, wire.ErrAnswer},
		"another answer":            {"1 - file - 0 -\n", hello, wire.ErrAnswer},
		"a death that can't be":     {"1 - died 0 0 0 -\n", hello, wire.ErrAnswer},
		"more than was asked for":   {"1 - file 6162 2 -\n", read, wire.ErrAnswer},
		"other words":               {"Kernel panic\n", hello, errPortLost},
		"a part nobody knows":       {"1 - colour red\n", hello, errPortLost},
		"half a line":               {"1 - welc", hello, errPortLost},
		"a list without an end":     {"1 - log 999999999 a\n", hello, errPortLost},
		"nothing":                   {"", hello, errPortLost},
		"an answer to no one first": {"7 - file - 0 -\n1 no\n", hello, ErrGuest},
		"the answer":                {"1 - welcome 6.1 - 0 0 0\n", hello, nil},
	} {
		t.Run(name, func(t *testing.T) {
			hold, release := io.Pipe() // the guest waits for a request, and stays
			a := said(t, io.MultiReader(&onceAsked{hold: hold}, strings.NewReader(c.says)))
			a.serve()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ch, err := a.send(c.req)
			must(t, err)
			release.Close()
			if reply, err := a.wait(ctx, ch); !errors.Is(err, c.want) || err == nil && reply.Welcome == nil {
				t.Errorf("got %+v, error %v; want %v", reply, err, c.want)
			}
		})
	}
}

// onceAsked is an empty input that ends when hold does.
type onceAsked struct{ hold io.Reader }

func (o *onceAsked) Read([]byte) (int, error) {
	io.Copy(io.Discard, o.hold)
	return 0, io.EOF
}

// FuzzAgentLines makes a guest send anything: each request gets an answer or an error.
func FuzzAgentLines(f *testing.F) {
	for _, s := range []string{"", "\n", "{}\n", `{"id":1}`, `{"id":1,"error":"no"}` + "\n" + `{"id":2,"welcome":{}}`, `{"id":2,"called":{"ret":1,"out":["AQ=="]}}` + "\n", "\x00\xff\n\n\n", `{"id":18446744073709551615}` + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		hold, release := io.Pipe()
		a := said(t, io.MultiReader(&onceAsked{hold: hold}, strings.NewReader(string(text))))
		a.serve()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var waits []<-chan answer
		for _, req := range []*wire.Request{{Hello: &wire.Hello{}}, {Syscall: &wire.Syscall{Name: "read", Args: []wire.Arg{{Out: 1}}}}} {
			ch, err := a.send(req)
			must(t, err)
			waits = append(waits, ch)
		}
		release.Close()
		first, err := a.wait(ctx, waits[0])
		if err == nil && first.Welcome == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %+v, error %v; want a welcome, or an error before the deadline", first, err)
		}
		second, err := a.wait(ctx, waits[1])
		if err == nil && len(second.Called.Out[0]) != 1 || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %+v, error %v; want 1 byte, or an error before the deadline", second, err)
		}
	})
}
