package gdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// script is what a simulated QEMU stub expects (<) and sends (>), byte for byte; "<c" is
// the packet c, "<+" an acknowledgement, ">!x" raw bytes, "close" the end.
func peer(t *testing.T, script ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	errs := make(chan error, 1)
	go func() {
		defer theirs.Close()
		errs <- play(theirs, script)
	}()
	t.Cleanup(func() {
		ours.Close()
		if err := <-errs; err != nil {
			t.Error(err)
		}
	})
	return ours
}

func play(conn net.Conn, script []string) error {
	conn.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(conn)
	for i, line := range script {
		var err error
		switch {
		case line == "close":
			return nil
		case line == "<!\x03", line == "<+", line == "<-":
			want := line[len(line)-1]
			var got byte
			if got, err = r.ReadByte(); err == nil && got != want {
				err = fmt.Errorf("got %q", got)
			}
		case line[0] == '<':
			want := frame(line[1:])
			got := make([]byte, len(want))
			if _, err = io.ReadFull(r, got); err == nil && string(got) != string(want) {
				err = fmt.Errorf("got %q", got)
			}
			if err == nil && !(i+1 < len(script) && strings.HasPrefix(script[i+1], ">!")) {
				_, err = conn.Write([]byte{'+'})
			}
		case strings.HasPrefix(line, ">!"):
			_, err = conn.Write([]byte(line[2:]))
		case line[0] == '>':
			_, err = conn.Write(frame(line[1:]))
		}
		if err != nil {
			return fmt.Errorf("line %d of the script, %q: %w", i, line, err)
		}
	}
	// Bytes after the script are not expected.
	if b, err := r.ReadByte(); err == nil {
		return fmt.Errorf("%q behind the script's end", b)
	}
	return nil
}

// hello is the beginning of a connection to a paused guest.
var hello = []string{"<qSupported", ">PacketSize=1000;qXfer:features:read+", "<+", "<?", ">T05thread:01;", "<+"}

func attached(t *testing.T, script ...string) (*Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c, err := Attach(ctx, peer(t, append(append([]string{}, hello...), script...)...))
	if err != nil {
		t.Fatal(err)
	}
	return c, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A running guest is stopped by the connection, which the stub reports before or after
// the first command.
func TestAttachToARunningGuest(t *testing.T) {
	for name, script := range map[string][]string{
		"stop first": {"<qSupported", ">!" + string(frame("T02thread:01;")), "<+", ">!+" + string(frame("PacketSize=1000")), "<+"},
		"stop after": {"<qSupported", ">T02thread:01;", "<+", ">PacketSize=1000", "<+"},
		"no stop":    hello,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			c, err := Attach(ctx, peer(t, script...))
			must(t, err)
			if c.Running() {
				t.Error("the guest is taken to run")
			}
		})
	}
}

func TestStopAtAnAccess(t *testing.T) {
	rip := strings.Repeat("00", 16*8) + "efcdab8967452301" + strings.Repeat("00", 40)
	c, ctx := attached(t,
		"<Z4,7f0000004005,1", ">OK", "<+",
		"<c", ">T05thread:02;awatch:00007f0000004005;", "<+",
		"<Hg2", ">OK", "<+", "<g", ">"+rip, "<+",
		"<m7f0000004000,4", ">deadbeef", "<+",
		"<z4,7f0000004005,1", ">OK", "<+",
		"<c", "<!\x03", ">T02thread:01;", "<+",
		"<D", ">OK", "<+",
	)
	must(t, c.Watch(ctx, Any, 0x7f0000004005, 1))
	must(t, c.Continue(ctx))
	if !c.Running() {
		t.Error("the guest is taken to stand")
	}
	if _, err := c.Memory(ctx, 0, 1); err == nil {
		t.Error("memory of a guest that runs was asked for, which would stop it")
	}
	stop, err := c.Wait(ctx)
	must(t, err)
	if want := (Stop{Signal: SignalTrap, CPU: 1, Access: Any, Addr: 0x7f0000004005}); stop != want {
		t.Errorf("got %+v, want %+v", stop, want)
	}
	r, err := c.Registers(ctx, stop.CPU)
	must(t, err)
	if r.RIP != 0x0123456789abcdef {
		t.Errorf("got RIP %#x, want 0x0123456789abcdef", r.RIP)
	}
	data, err := c.Memory(ctx, 0x7f0000004000, 4)
	must(t, err)
	if string(data) != "\xde\xad\xbe\xef" {
		t.Errorf("got memory %x, want deadbeef", data)
	}
	must(t, c.Unwatch(ctx, Any, 0x7f0000004005, 1))
	must(t, c.Continue(ctx))
	stop, err = c.Interrupt(ctx)
	must(t, err)
	if stop.Signal != SignalInterrupt {
		t.Errorf("got %+v, want the signal %v", stop, SignalInterrupt)
	}
	must(t, c.Detach(ctx))
}

// Only differing registers are written, and a write that the stub ignores is detected.
func TestSetRegisters(t *testing.T) {
	block := func(rip string) string { return strings.Repeat("0", 16*16) + rip + "00000000" }
	for name, last := range map[string]string{"done": "0200000000000000", "not done": "0100000000000000"} {
		t.Run(name, func(t *testing.T) {
			c, ctx := attached(t,
				"<Hg1", ">OK", "<+", "<g", ">"+block("0100000000000000"), "<+",
				"<qXfer:features:read:target.xml:0,400", ">l<target/>", "<+",
				"<P10=0200000000000000", ">OK", "<+",
				"<Hg1", ">OK", "<+", "<g", ">"+block(last), "<+")
			if err := c.SetRegisters(ctx, 0, Registers{RIP: 2}); (err == nil) != (name == "done") {
				t.Errorf("%s: got %v, want no error %t", name, err, name == "done")
			}
		})
	}
}

func TestChecksums(t *testing.T) {
	c, ctx := attached(t,
		"<m0,1", ">!-", "<m0,1", // sent again
		">!+$00#01", "<-", ">41", "<+", // requested again
	)
	data, err := c.Memory(ctx, 0, 1)
	must(t, err)
	if string(data) != "A" {
		t.Errorf("got %q, want A", data)
	}
}

func TestRunLengthsAndEscapes(t *testing.T) {
	// "0*%" is 0 and eight more of it: the manual's own example is "0* " for 0000.
	c, ctx := attached(t, "<m0,2", ">!+$0* #"+sum("0* "), "<+")
	data, err := c.Memory(ctx, 0, 2)
	must(t, err)
	if string(data) != "\x00\x00" {
		t.Errorf("got %q, want two zero bytes", data)
	}
	for _, s := range []string{"", "a}b", "$#*}", "plain"} {
		e, n, err := next(frame(s))
		if err != nil || string(e.data) != s || n != len(frame(s)) {
			t.Errorf("%q comes back as %q, %d bytes, %v", s, e.data, n, err)
		}
	}
}

func sum(s string) string {
	n := byte(0)
	for i := range len(s) {
		n += s[i]
	}
	return fmt.Sprintf("%02x", n)
}

// Each failure has its error, and none waits for ever.
func TestFailures(t *testing.T) {
	watch := func(ctx context.Context, c *Client) error { return c.Watch(ctx, Any, 0x1000, 1) }
	run := func(ctx context.Context, c *Client) error {
		if err := c.Continue(ctx); err != nil {
			return err
		}
		_, err := c.Wait(ctx)
		return err
	}
	memory := func(ctx context.Context, c *Client) error {
		_, err := c.Memory(ctx, 0, 2)
		return err
	}
	for _, tt := range []struct {
		name   string
		script []string
		do     func(context.Context, *Client) error
		want   error
	}{
		{"closed before the answer", []string{"<Z4,1000,1", "close"}, watch, ErrClosed},
		{"closed while the guest runs", []string{"<c", "close"}, run, ErrClosed},
		{"reset while the guest runs", []string{"<c", ">W00", "<+", "close"}, run, ErrEnded},
		{"killed while the guest runs", []string{"<c", ">X09", "<+", "close"}, run, ErrEnded},
		{"switched off while the guest runs", []string{"<c", ">T03thread:01;", "<+"}, run, ErrEnded}, // gdb_vm_state_change
		{"never reached", []string{"<c"}, run, ErrTimeout},
		{"silent", []string{"<Z4,1000,1"}, watch, ErrTimeout},
		{"a stop reply that is none", []string{"<c", ">T0", "<+"}, run, ErrMalformed},
		{"a stop reply with a bad thread", []string{"<c", ">T05thread:00;", "<+"}, run, ErrMalformed},
		{"an answer instead of a stop reply", []string{"<c", ">OK", "<+"}, run, ErrMalformed},
		{"bytes between packets", []string{"<c", ">!+xyz"}, run, ErrMalformed},
		{"wrong checksums only", []string{"<c", ">!+$T05#00", "<-", ">!$T05#00", "<-", ">!$T05#00", "<-"}, run, ErrMalformed},
		{"a checksum refused for ever", []string{"<Z4,1000,1", ">!-", "<Z4,1000,1", ">!-", "<Z4,1000,1", ">!-"}, watch, ErrMalformed},
		{"memory that is no hexadecimal", []string{"<m0,2", ">zzzz", "<+"}, memory, ErrMalformed},
		{"memory that is too short", []string{"<m0,2", ">00", "<+"}, memory, ErrMalformed},
		{"stop replies without end", append([]string{"<m0,2"}, slices.Repeat([]string{">T05thread:01;", "<+"}, maxStops+1)...), memory, ErrMalformed},
		{"an escape at the end", []string{"<m0,2", ">!+$}#7d"}, memory, ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := attached(t, tt.script...)
			cause := errors.New("enough waited")
			ctx, cancel := context.WithTimeoutCause(context.Background(), 200*time.Millisecond, cause)
			defer cancel()
			err := tt.do(ctx, c)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if errors.Is(tt.want, ErrTimeout) && !errors.Is(err, cause) {
				t.Errorf("%v does not contain the cause", err)
			}
			c.Close()
		})
	}
}

func TestRefusals(t *testing.T) {
	c, ctx := attached(t, "<Z4,1000,1", ">E22", "<+", "<Z3,1000,1", ">", "<+", "<m0,1", ">E14", "<+")
	for _, err := range []error{c.Watch(ctx, Any, 0x1000, 1), c.Watch(ctx, Read, 0x1000, 1), second(c.Memory(ctx, 0, 1))} {
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("got %v, want a refusal", err)
		}
	}
	if err := c.Watch(ctx, "peek", 0, 1); err == nil {
		t.Error("an unknown kind of access was asked for")
	}
}

func second(_ []byte, err error) error { return err }

// A cancelled wait can be resumed: data that arrived meanwhile is not lost.
func TestWaitAgain(t *testing.T) {
	reply := string(frame("T05thread:01;awatch:1000;"))
	c, ctx := attached(t, "<c", ">!+"+reply[:9], ">!"+reply[9:], "<+")
	must(t, c.Continue(ctx))
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Wait(short); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v, want ErrTimeout", err)
	}
	stop, err := c.Wait(ctx)
	must(t, err)
	if stop.Addr != 0x1000 {
		t.Errorf("got %+v, want the address 0x1000", stop)
	}
}

func TestAttachToNothing(t *testing.T) {
	ours, theirs := net.Pipe()
	theirs.Close()
	if _, err := Attach(context.Background(), ours); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	ours, theirs = net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := Attach(ctx, ours); !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, ErrTimeout)
	}
	if _, err := ours.Write(nil); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the connection closed", err)
	}
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{"", "+", "-", "$#00", "$OK#9a", "+$T05thread:01;awatch:1000;#b9", "$0* #7a", "$}#7d", "$a#zz", "\x03", "$"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, err := next(b)
		if n < 0 || n > len(b) {
			t.Fatalf("took %d bytes, want 0 to %d", n, len(b))
		}
		if len(e.data) > maxPacket+128 {
			t.Fatalf("got %d bytes of data, want at most %d", len(e.data), maxPacket+128)
		}
		if err == nil && n > 0 && e.kind == '$' && !e.bad {
			again, _, err := next(frame(string(e.data)))
			if err != nil || string(again.data) != string(e.data) {
				t.Fatalf("%q comes back as %q, %v", e.data, again.data, err)
			}
		}
	})
}

func FuzzParseStop(f *testing.F) {
	for _, s := range []string{"T05thread:01;", "T05thread:p01.02;awatch:7f0000000000;", "S05", "W00", "X09", "T", "T05;;", "T05thread:zz;", "T05awatch:"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStop(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("got %v, want ErrMalformed", err)
			}
			return
		}
		if s.CPU < 0 || s.Ended && s.Access != "" {
			t.Fatalf("%q: got %+v, want a CPU of at least 0, and no access of one that ended", b, s)
		}
	})
}
