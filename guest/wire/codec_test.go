package wire

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestEncodeAndDecode(t *testing.T) {
	for _, q := range []Request{
		{ID: 1, Hello: &Hello{UnixNano: 5, Entropy: []byte{1, 2}, Spare: 3}},
		{ID: 2, To: 4, Access: &Access{Kind: Store, Addr: 1 << 63, Width: 8, Value: ^uint64(0)}},
		{ID: 3, To: 4, Syscall: &Syscall{Name: "pread64", Args: []Arg{{Int: -1}, {Out: 9}, {In: []byte("x")}, {Iov: []uint64{1, 2}}, {Str: "s"}}}},
	} {
		b, err := Encode(&q)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(b, []byte{'\n'}) != 1 || b[len(b)-1] != '\n' {
			t.Errorf("%q is not one line", b)
		}
		var back Request
		if err := Decode(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(q, back) {
			t.Errorf("%+v came back as %+v", q, back)
		}
	}
}

func TestEncodeRefusesWhatTheOtherEndWould(t *testing.T) {
	if _, err := Encode(&Request{WriteFile: &WriteFile{Data: make([]byte, MaxData)}}); err != nil {
		t.Errorf("MaxData bytes do not fit: %v", err)
	}
	if _, err := Encode(&Request{WriteFile: &WriteFile{Data: make([]byte, 2*MaxData)}}); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want ErrTooLong", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":          "",
		"no JSON":          "hello\n",
		"half a message":   `{"id":1,"pmem":{}`,
		"an unknown field": `{"id":1,"pmem":{},"colour":"red"}`,
		"a wrong type":     `{"id":"one"}`,
		"two messages":     `{"id":1}{"id":2}`,
	} {
		if err := Decode([]byte(line), new(Request)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A new operation must be known to Op.
func TestOpKnowsEveryOperation(t *testing.T) {
	typ := reflect.TypeFor[Request]()
	seen := map[string]bool{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		var q Request
		reflect.ValueOf(&q).Elem().Field(i).Set(reflect.New(f.Type.Elem()))
		op, err := q.Op()
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); err != nil || op != tag || seen[op] {
			t.Errorf("%s: op %q, error %v, want %q", f.Name, op, err, tag)
		}
		seen[op] = true
	}
	for _, q := range []Request{{}, {Pmem: &Pmem{}, Fork: &Fork{}}} {
		if op, err := q.Op(); err == nil {
			t.Errorf("%+v has operation %q", q, op)
		}
	}
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 10_000) + "\n"
	r := NewReader(strings.NewReader("a\n" + long + "half"))
	for _, want := range []string{"a\n", long} {
		if line, err := r.Line(); err != nil || string(line) != want {
			t.Fatalf("%.20q, %v; want %.20q", line, err, want)
		}
	}
	if line, err := r.Line(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a line: %q, %v", line, err)
	}
	if _, err := NewReader(strings.NewReader("")).Line(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if _, err := NewReader(strings.NewReader(strings.Repeat("x", MaxLine+2))).Line(); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line too long: %v", err)
	}
}

func TestFillIsNeverZero(t *testing.T) {
	for page := range int64(1000) {
		if Fill(page) == 0 {
			t.Errorf("page %d", page)
		}
	}
}

// FuzzDecode holds every request that can be read against being written and
// read again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"hello":{"unix_nano":1,"entropy":"AAE="}}`))
	f.Add([]byte(`{"id":2,"to":1,"syscall":{"name":"pread64","args":[{"i":3},{"o":10},{"v":[1,2]}]}}` + "\n"))
	f.Add([]byte(`{"id":3,"to":1,"access":{"kind":"load","addr":17592186044416,"width":8}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		var q Request
		if Decode(line, &q) != nil {
			return
		}
		q.Op()
		b, err := Encode(&q)
		if err != nil {
			t.Fatal(err)
		}
		var back Request
		if err := Decode(b, &back); err != nil {
			t.Fatalf("%q was read, and written as %q: %v", line, b, err)
		}
		again, err := Encode(&back)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("%q, written again %q, %v", b, again, err)
		}
	})
}
