package baseline

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The lists of a file are read element by element, up to their bounds, because an element
// that is "{}" in the file takes some hundred bytes of memory.

// readKernels reads the list of a file's kernels.
func readKernels(text []byte) (all []kernel, err error) {
	if len(text) == 0 { // no kernels
		return nil, nil
	}
	err = each(text, '[', func(dec *json.Decoder) error {
		if len(all) == mostKernels {
			return fmt.Errorf("it has more than %d kernels", mostKernels)
		}
		var k kernel
		err := dec.Decode(&k)
		all = append(all, k)
		return err
	})
	return all, err
}

type cells map[string]cell

// UnmarshalJSON implements json.Unmarshaler.
func (cs *cells) UnmarshalJSON(text []byte) error {
	*cs = cells{}
	return each(text, '{', func(dec *json.Decoder) error {
		if len(*cs) == mostCells {
			return fmt.Errorf("a kernel has more than %d cells", mostCells)
		}
		id, err := dec.Token()
		if err != nil {
			return err
		}
		var c cell
		if err := dec.Decode(&c); err != nil {
			return err
		}
		(*cs)[fmt.Sprint(id)] = c
		return nil
	})
}

// each calls element for each element of a list or an object; null has none.
func each(text []byte, open json.Delim, element func(*json.Decoder) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	switch t, err := dec.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil
	case t != open:
		return fmt.Errorf("want a %v, not %v", open, t)
	}
	for dec.More() {
		if err := element(dec); err != nil {
			return err
		}
	}
	return nil
}
