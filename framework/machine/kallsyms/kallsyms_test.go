package kallsyms

import (
	"bytes"
	"debug/elf"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const some = `0000000000000000 D fixed_percpu_data
ffffffff81000000 T _text
ffffffff8107a2c0 t do_sigbus
ffffffff81000040 W weak_one
ffffffff82000000 D jiffies
ffffffffc0201000 t pmem_recovery_write	[nd_pmem]
`

// Go's debug/elf reads back what is written.
func TestWriteELF(t *testing.T) {
	symbols, err := Parse(strings.NewReader(some))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteELF(&b, elf.EM_X86_64, symbols); err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	want := []elf.Symbol{
		{Name: "_text", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_FUNC), Section: text, Value: 0xffffffff81000000, Size: 0x40},
		{Name: "weak_one", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_FUNC), Section: text, Value: 0xffffffff81000040, Size: 0x7a280},
		{Name: "do_sigbus", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_FUNC), Section: text, Value: 0xffffffff8107a2c0, Size: 0xf85d40},
		{Name: "jiffies", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_OBJECT), Section: text, Value: 0xffffffff82000000},
		{Name: "pmem_recovery_write", Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_FUNC), Section: text, Value: 0xffffffffc0201000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("symbols mismatch (-want +got):\n%s", diff)
	}
	if s := f.Section(".text"); f.Machine != elf.EM_X86_64 || s == nil || s.Addr != 0xffffffff81000000 || s.Addr+s.Size != 0xffffffffc0201001 {
		t.Errorf("got %+v, .text %+v; want x86-64, .text from 0xffffffff81000000 to 0xffffffffc0201001", f.FileHeader, s)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
	}{
		"no symbol":    {"ffffffff81000000 T\n", "is not a symbol"},
		"no address":   {"x T _text\n", `"x T _text"`},
		"a long kind":  {"ffffffff81000000 TT _text\n", "is not a symbol"},
		"a long line":  {"ffffffff81000000 T " + strings.Repeat("x", 2*maxLine) + "\n", "too long"},
		"nothing":      {"", ErrHidden.Error()},
		"hidden":       {"0000000000000000 T _text\n0000000000000000 t f\n", ErrHidden.Error()},
		"all absolute": {"0000000000000000 D x\n", ErrHidden.Error()},
	} {
		if _, err := Parse(strings.NewReader(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if _, err := Parse(strings.NewReader("0000000000000000 T _text\n")); !errors.Is(err, ErrHidden) {
		t.Errorf("got %v, want ErrHidden", err)
	}
	if err := WriteELF(&bytes.Buffer{}, elf.EM_X86_64, nil); err == nil {
		t.Error("no symbols are a file")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(some)
	f.Add("0 0 0\n8000000000000000 0 0")
	f.Fuzz(func(t *testing.T, text string) {
		symbols, err := Parse(strings.NewReader(text))
		if err != nil || len(symbols) == 0 {
			return
		}
		var b bytes.Buffer
		if err := WriteELF(&b, elf.EM_X86_64, symbols); err != nil {
			t.Fatal(err)
		}
		file, err := elf.NewFile(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := file.Symbols(); err != nil || len(got) != len(symbols) {
			t.Errorf("got %d symbols, error %v; want %d", len(got), err, len(symbols))
		}
	})
}
