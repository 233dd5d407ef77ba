package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// words writes a message, or reads it: numbers, texts and bytes, parted by spaces,
// in the order in which the messages' own words methods have them. Both ends come
// from one build, so that no name stands before a value. It is by hand because a
// clone runs all its code for the first time: encoding/json is a tenth of what a
// scenario has TCG translate (docs/performance.md).
type words struct {
	reading bool
	line    []byte // what was written, or is left to be read
	err     error  // the first
}

var errWords = errors.New("it ends too early")

// next is the next word to be read.
func (w *words) next() []byte {
	if len(w.line) == 0 {
		w.fail(errWords)
		return nil
	}
	for i, b := range w.line {
		if b == ' ' {
			word := w.line[:i]
			w.line = w.line[i+1:]
			return word
		}
	}
	word := w.line
	w.line = nil
	return word
}

func (w *words) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// put writes a word.
func (w *words) put(word string) { w.line = append(append(w.line, word...), ' ') }

// num is a number, or a flag as 0 or 1.
func num[T ~int | ~int64 | ~uint32 | ~uint64](w *words, v *T) {
	if !w.reading {
		w.line = append(strconv.AppendInt(w.line, int64(*v), 10), ' ')
		return
	}
	word := w.next()
	n, err := integer(word)
	if *v = T(n); err != nil || int64(*v) != n {
		w.fail(fmt.Errorf("%.30q is no such number", word))
	}
}

// integer reads a number as num writes it, and in no other form.
func integer(word []byte) (int64, error) {
	digits := word
	negative := len(word) > 0 && word[0] == '-'
	if negative {
		digits = word[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && len(word) > 1 {
		return 0, strconv.ErrSyntax
	}
	var n uint64
	for _, d := range digits {
		if d < '0' || d > '9' || n > math.MaxInt64/10 {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + uint64(d-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), nil
	case negative || n > math.MaxInt64:
		return 0, strconv.ErrRange
	}
	return int64(n), nil
}

func flag(w *words, v *bool) {
	n := 0
	if *v {
		n = 1
	}
	num(w, &n)
	if w.reading && n != 0 && n != 1 {
		w.fail(fmt.Errorf("%d is neither yes nor no", n))
	}
	*v = n == 1
}

func float(w *words, v *float64) {
	bits := math.Float64bits(*v)
	num(w, &bits)
	*v = math.Float64frombits(bits)
}

// none is a text, or bytes, of no length.
const none = "-"

// text is a string; what would end a word, or a line, is %XX in it.
func text[T ~string](w *words, v *T) {
	if !w.reading {
		switch *v {
		case "":
			w.put(none)
			return
		case none:
			w.put("%2d")
			return
		}
		for i := range len(*v) {
			if c := (*v)[i]; c > ' ' && c < 0x7f && c != '%' {
				w.line = append(w.line, c)
			} else {
				w.line = append(w.line, '%', digits[c>>4], digits[c&15])
			}
		}
		w.line = append(w.line, ' ')
		return
	}
	word := w.next()
	if string(word) == none {
		*v = ""
		return
	}
	plain := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		if word[i] != '%' {
			plain = append(plain, word[i])
			continue
		}
		var b [1]byte
		if i+2 >= len(word) {
			w.fail(fmt.Errorf("%.30q is no text", word))
			return
		}
		if _, err := hex.Decode(b[:], word[i+1:i+3]); err != nil {
			w.fail(fmt.Errorf("%.30q is no text: %w", word, err))
			return
		}
		plain, i = append(plain, b[0]), i+2
	}
	*v = T(plain)
}

const digits = "0123456789abcdef"

// data is bytes, in hexadecimal; nil where there are none.
func data(w *words, v *[]byte) {
	if !w.reading {
		if len(*v) == 0 {
			w.put(none)
			return
		}
		w.line = append(hex.AppendEncode(w.line, *v), ' ')
		return
	}
	word := w.next()
	*v = nil
	if string(word) == none {
		return
	}
	b := make([]byte, hex.DecodedLen(len(word)))
	if _, err := hex.Decode(b, word); err != nil || len(b) == 0 {
		w.fail(fmt.Errorf("%.30q are no bytes", word))
		return
	}
	*v = b
}

// list is how many there are, and each of them; nil where there are none.
func list[T any](w *words, v *[]T, each func(*words, *T)) {
	n := len(*v)
	num(w, &n)
	if w.reading {
		*v = nil
		if n < 0 || n > len(w.line) { // each has a word at least
			w.fail(fmt.Errorf("%d is no length of a list", n))
		}
		if n <= 0 || w.err != nil {
			return
		}
		*v = make([]T, n)
	}
	for i := range *v {
		if each(w, &(*v)[i]); w.err != nil {
			return
		}
	}
}

// message is what has words.
type message[T any] interface {
	*T
	words(w *words)
}

// put writes a part of a message that may be there, below its name.
func put[T any, P message[T]](w *words, name string, v *T) {
	if v != nil {
		w.put(name)
		P(v).words(w)
	}
}

// get reads the part whose name was read.
func get[T any, P message[T]](w *words, name string, v **T) {
	if *v != nil {
		w.unknown(name)
		return
	}
	*v = new(T)
	P(*v).words(w)
}

// unknown says that a part has no place in its message, or has it no more.
func (w *words) unknown(name string) {
	w.fail(fmt.Errorf("there is no place for %.30q", name))
}
