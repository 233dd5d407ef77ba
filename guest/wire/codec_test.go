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
			t.Errorf("got %q, want one line", b)
		}
		var back Request
		if err := Decode(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(q, back) {
			t.Errorf("got %+v, want %+v", back, q)
		}
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	if _, err := Encode(&Request{WriteFile: &WriteFile{Data: make([]byte, MaxData)}}); err != nil {
		t.Errorf("encode MaxData bytes: got %v, want no error", err)
	}
	if _, err := Encode(&Request{WriteFile: &WriteFile{Data: make([]byte, 2*MaxData)}}); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want ErrTooLong", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":            "",
		"no number":          "hello\n",
		"half a message":     "1 0 read_file /proc/x 0",
		"an unknown part":    "1 0 colour red",
		"a number too long":  "1 0 kernel_log 99999999999999999999",
		"leading zeros":      "1 0 kernel_log 007",
		"a wrong flag":       "1 2 access load 0 1 0 2",
		"a part twice":       "1 0 kernel_log 1 kernel_log 2",
		"too much":           "1 0 kernel_log 1 2",
		"a list too long":    "1 2 syscall read 1000000 0",
		"half an escape":     "1 0 read_file a%2 0 0",
		"odd hexadecimal":    "1 0 write_file a abc 0",
		"bytes of no length": "1 0 write_file a  0",
	} {
		if err := Decode([]byte(line), new(Request)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Every field of every message survives encoding and decoding. Fields are filled by
// reflection, so that a field missing from its method words is found.
func TestEveryField(t *testing.T) {
	for _, m := range []any{new(Request), new(Reply)} {
		whole := reflect.ValueOf(m).Elem()
		for i := range whole.NumField() {
			v := reflect.New(whole.Type()).Elem()
			n := 0
			fill(t, v.Field(i), &n)
			var back any
			var line []byte
			var err error
			switch m := v.Addr().Interface().(type) {
			case *Request:
				got := new(Request)
				if line, err = Encode(m); err == nil {
					err = Decode(line, got)
				}
				back = *got
			case *Reply:
				got := new(Reply)
				if line, err = Encode(m); err == nil {
					err = Decode(line, got)
				}
				back = *got
			}
			if err != nil || !reflect.DeepEqual(back, v.Interface()) {
				t.Errorf("%s: %q, %v:\nencoded %+v\ndecoded %+v", whole.Type().Field(i).Name, line, err, v.Interface(), back)
			}
		}
	}
}

// fill sets every field to a different value.
func fill(t *testing.T, v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.String:
		v.SetString([]string{"-", "a b%\n\xff", "ü"}[*n%3] + strings.Repeat("x", *n%2))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * []int64{1, -1, 1 << 50}[*n%3])
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(uint64(*n % 256))
	case reflect.Uint64:
		v.SetUint(^uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 3)
	case reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("unexpected kind of field: %v", v.Kind())
	}
}

// Op must return every operation's name.
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
		if err != nil || strings.ReplaceAll(op, "_", "") != strings.ToLower(f.Name) || seen[op] {
			t.Errorf("%s: got operation %q, error %v; want its own name, once", f.Name, op, err)
		}
		seen[op] = true
	}
	for _, q := range []Request{{}, {Pmem: &Pmem{}, Fork: &Fork{}}} {
		if op, err := q.Op(); err == nil {
			t.Errorf("%+v: got operation %q, want an error", q, op)
		}
	}
}

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 10_000) + "\n"
	r := NewReader(strings.NewReader("a\n" + long + "half"))
	for _, want := range []string{"a\n", long} {
		if line, err := r.Line(); err != nil || string(line) != want {
			t.Fatalf("got %.20q, %v; want %.20q", line, err, want)
		}
	}
	if line, err := r.Line(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a line: got %q, %v; want io.ErrUnexpectedEOF", line, err)
	}
	if _, err := NewReader(strings.NewReader("")).Line(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v, want io.EOF", err)
	}
	if _, err := NewReader(strings.NewReader(strings.Repeat("x", MaxLine+2))).Line(); !errors.Is(err, ErrTooLong) {
		t.Errorf("line too long: got %v, want ErrTooLong", err)
	}
}

func TestFillIsNeverZero(t *testing.T) {
	for page := range int64(1000) {
		if Fill(page) == 0 {
			t.Errorf("page %d: got 0, want another byte", page)
		}
	}
}

// FuzzDecode checks that every request that can be decoded is the same after encoding and
// decoding it again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("1 0 hello 1 0001 0"))
	f.Add([]byte("2 1 syscall pread64 3 3 - - 0 0 0 - - 10 0 0 %2d - 0 2 1 2\n"))
	f.Add([]byte("3 1 access load 17592186044416 8 0 0"))
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
			t.Fatalf("decoded %q, encoded %q: %v", line, b, err)
		}
		again, err := Encode(&back)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("encoded %q, then %q: %v", b, again, err)
		}
	})
}
