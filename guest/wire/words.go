package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// words encodes or decodes a message: numbers, texts and bytes, separated by spaces,
// in the order given by the messages' words methods. Both ends come from one build, so
// values have no names. The code is hand-written because a clone runs all its code for
// the first time: with encoding/json, TCG would spend a tenth of a scenario's
// translation on it (docs/evidence/performance.md).
type words struct {
	reading bool
	line    []byte // the output so far, or the remaining input
	err     error  // the first error
}

var errWords = errors.New("message ends too early")

// next returns the next word of the input.
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

// put appends a word.
func (w *words) put(word string) { w.line = append(append(w.line, word...), ' ') }

// num encodes or decodes a number; a flag is 0 or 1.
func num[T ~int | ~int64 | ~uint32 | ~uint64](w *words, v *T) {
	if !w.reading {
		w.line = append(strconv.AppendInt(w.line, int64(*v), 10), ' ')
		return
	}
	word := w.next()
	n, err := integer(word)
	if *v = T(n); err != nil || int64(*v) != n {
		w.fail(fmt.Errorf("%.30q: not a number in range", word))
	}
}

// integer parses a number in the form that num writes; any other form is an error.
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
		w.fail(fmt.Errorf("flag is %d, want 0 or 1", n))
	}
	*v = n == 1
}

func float(w *words, v *float64) {
	bits := math.Float64bits(*v)
	num(w, &bits)
	*v = math.Float64frombits(bits)
}

// none encodes an empty text, or no bytes.
const none = "-"

// text encodes or decodes a string; characters that end a word or a line are written
// as %XX.
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
			w.fail(fmt.Errorf("%.30q: not a text", word))
			return
		}
		if _, err := hex.Decode(b[:], word[i+1:i+3]); err != nil {
			w.fail(fmt.Errorf("%.30q: not a text: %w", word, err))
			return
		}
		plain, i = append(plain, b[0]), i+2
	}
	*v = T(plain)
}

const digits = "0123456789abcdef"

// data encodes or decodes bytes, in hexadecimal; nil if there are none.
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
		w.fail(fmt.Errorf("%.30q: not hexadecimal bytes", word))
		return
	}
	*v = b
}

// list encodes or decodes a list: its length, then its elements; nil if empty.
func list[T any](w *words, v *[]T, each func(*words, *T)) {
	n := len(*v)
	num(w, &n)
	if w.reading {
		*v = nil
		if n < 0 || n > len(w.line) { // each element has at least one word
			w.fail(fmt.Errorf("invalid list length %d", n))
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

// message is a type with a words method.
type message[T any] interface {
	*T
	words(w *words)
}

// put encodes an optional part of a message, preceded by its name.
func put[T any, P message[T]](w *words, name string, v *T) {
	if v != nil {
		w.put(name)
		P(v).words(w)
	}
}

// get decodes the part whose name was just read.
func get[T any, P message[T]](w *words, name string, v **T) {
	if *v != nil {
		w.unknown(name)
		return
	}
	*v = new(T)
	P(*v).words(w)
}

// unknown records the error for a part that is unknown or repeated.
func (w *words) unknown(name string) {
	w.fail(fmt.Errorf("unexpected part %.30q", name))
}
