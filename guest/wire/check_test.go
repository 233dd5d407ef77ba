package wire

import (
	"errors"
	"reflect"
	"testing"
)

// pair is a request and its answer.
type pair struct {
	q Request
	r Reply
}

// asked returns one pair for each operation.
func asked() map[string]pair {
	return map[string]pair{
		"hello":      {Request{Hello: &Hello{}}, Reply{Welcome: &HelloReply{}}},
		"spawn":      {Request{Spawn: &Spawn{}}, Reply{Spawned: &Spawned{}}},
		"wait":       {Request{Wait: &Wait{}}, Reply{Status: &Status{}}},
		"read_file":  {Request{ReadFile: &ReadFile{Length: 2}}, Reply{File: &File{Data: []byte("ab")}}},
		"write_file": {Request{WriteFile: &WriteFile{}}, Reply{File: &File{}}},
		"make_file":  {Request{MakeFile: &MakeFile{}}, Reply{Made: &MakeReply{}}},
		"pmem":       {Request{Pmem: &Pmem{}}, Reply{Devices: []Device{{Name: "pmem0"}}}},
		"dm":         {Request{DM: &DM{}}, Reply{Mapper: &Mapper{}}},
		"kernel_log": {Request{KernelLog: &KernelLog{}}, Reply{Log: &Log{}}},
		"map":        {Request{To: 1, Map: &Map{}}, Reply{Mapped: &MapReply{}}},
		"access":     {Request{To: 1, Access: &Access{}}, Reply{Accessed: &Accessed{}}},
		"fork":       {Request{To: 1, Fork: &Fork{}}, Reply{Spawned: &Spawned{}}},
		"syscall":    {Request{Syscall: &Syscall{Args: []Arg{{Int: 1}, {Out: 2}, {Out: 1}}}}, Reply{Called: &SyscallReply{Out: [][]byte{{1, 2}, {3}}}}},
	}
}

// Each operation is answered by its own answer or an error, and by no other answer.
func TestCheckEveryOperation(t *testing.T) {
	operations := 0
	for i := range reflect.TypeFor[Request]().NumField() {
		if reflect.TypeFor[Request]().Field(i).Type.Kind() == reflect.Pointer {
			operations++
		}
	}
	all := asked()
	if len(all) != operations {
		t.Errorf("got %d operations, want %d", len(all), operations)
	}
	for op, a := range all {
		if err := a.r.Check(&a.q); err != nil {
			t.Errorf("%s: got %v, want no error", op, err)
		}
		if err := (&Reply{Error: "no"}).Check(&a.q); err != nil {
			t.Errorf("%s, with an error: got %v, want no error", op, err)
		}
		if err := (&Reply{}).Check(&a.q); (err == nil) != (op == "pmem") { // no devices is a valid answer
			t.Errorf("%s, empty reply: got %v, want no error only of pmem", op, err)
		}
		died := op == "wait" || a.q.To != Agent
		if err := (&Reply{Died: &Status{}}).Check(&a.q); (err == nil) != died {
			t.Errorf("%s, with a death: got %v, want no error %t", op, err, died)
		}
		for other, b := range all {
			if reflect.DeepEqual(set(&a.r), set(&b.r)) {
				continue
			}
			if err := b.r.Check(&a.q); !errors.Is(err, ErrAnswer) {
				t.Errorf("%s, answered as %s: got %v, want ErrAnswer", op, other, err)
			}
			both := a.r
			r, more := reflect.ValueOf(&both).Elem(), reflect.ValueOf(b.r)
			for i := range r.NumField() {
				if r.Field(i).IsZero() {
					r.Field(i).Set(more.Field(i))
				}
			}
			if err := both.Check(&a.q); !errors.Is(err, ErrAnswer) {
				t.Errorf("%s, answered also as %s: got %v, want ErrAnswer", op, other, err)
			}
		}
	}
}

// set returns the names of the fields that a reply has set.
func set(r *Reply) (names []string) {
	v := reflect.ValueOf(*r)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			names = append(names, v.Type().Field(i).Name)
		}
	}
	return names
}

func TestCheckBounds(t *testing.T) {
	read := func(n int, data string) error {
		return (&Reply{File: &File{Data: []byte(data)}}).Check(&Request{ReadFile: &ReadFile{Length: n}})
	}
	call := func(args []Arg, out ...[]byte) error {
		return (&Reply{Called: &SyscallReply{Out: out}}).Check(&Request{To: 1, Syscall: &Syscall{Args: args}})
	}
	for name, c := range map[string]struct {
		err  error
		good bool
	}{
		"a whole file":             {read(0, "all of it"), true},
		"less than requested":      {read(8, "abc"), true},
		"more than requested":      {read(2, "abc"), false},
		"a call without memory":    {call([]Arg{{Int: 1}, {Str: "a"}}), true},
		"memory":                   {call([]Arg{{Out: 2}}, []byte{1, 2}), true},
		"memory that is too short": {call([]Arg{{Out: 8}}, []byte{1, 2}), false},
		"memory that is too long":  {call([]Arg{{Out: 1}}, []byte{1, 2}), false},
		"no memory":                {call([]Arg{{Out: 1}}), false},
		"memory for no argument":   {call(nil, []byte{1}), false},
		"no memory for the second": {call([]Arg{{Out: 1}, {Out: 1}}, []byte{1}), false},
		"a request for two things": {(&Reply{File: &File{}}).Check(&Request{ReadFile: &ReadFile{}, WriteFile: &WriteFile{}}), false},
		"an answer and a death":    {(&Reply{Died: &Status{}, Mapped: &MapReply{}}).Check(&Request{To: 1, Map: &Map{}}), false},
		"an unrequested list":      {(&Reply{File: &File{}, Devices: []Device{{}}}).Check(&Request{ReadFile: &ReadFile{}}), false},
	} {
		if (c.err == nil) != c.good {
			t.Errorf("%s: got %v, want no error %t", name, c.err, c.good)
		}
	}
}

// FuzzCheck checks that, for any line from a guest, a reply that passes has all that
// the host uses.
func FuzzCheck(f *testing.F) {
	for _, line := range []string{
		`{"id":1}`, `{"id":1,"error":"no"}`, `{"id":1,"welcome":{"release":"6.1"}}`, `{"id":1,"spawned":{"victim":1,"pid":2}}`,
		`{"id":1,"file":{"data":"YWI=","n":2}}`, `{"id":1,"called":{"ret":0,"out":["AQI=","Aw=="]}}`, `{"id":1,"called":{"ret":9,"out":[]}}`,
		`{"id":1,"accessed":{"value":1,"signals":["AA=="],"done":true}}`, `{"id":1,"died":{"code":-1,"signal":7}}`, `{"id":1,"log":{"lines":["a"],"next":1}}`,
		`{"id":1,"devices":[{"name":"pmem0"}]}`, `{"id":1,"mapped":{"addr":1,"fd":3}}`, `{"id":1,"made":{"extents":null}}`, `{"id":1,"mapper":{}}`, `{"id":1,"status":{"code":0}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var r Reply
		if Decode(line, &r) != nil {
			return
		}
		for op, a := range asked() {
			if r.Check(&a.q) != nil || r.Error != "" || r.Died != nil {
				continue
			}
			want, got := reflect.ValueOf(a.r), reflect.ValueOf(r)
			for i := range want.NumField() {
				if f := want.Field(i); f.Kind() == reflect.Pointer && f.IsNil() != got.Field(i).IsNil() {
					t.Fatalf("%s: %q passes with the wrong answer", op, line)
				}
			}
			switch {
			case a.q.ReadFile != nil && len(r.File.Data) > a.q.ReadFile.Length, a.q.Syscall != nil && (len(r.Called.Out[0]) != 2 || len(r.Called.Out[1]) != 1):
				t.Fatalf("%s: %q passes with the wrong size", op, line)
			}
		}
	})
}
