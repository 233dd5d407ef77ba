package results

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/faultline/faultline/framework/record/program"
)

// Installation recognises the records that it wrote: its user requested the specs of
// kernels and the paths of programs in them. A record of another installation may name a
// tree whose Makefile runs arbitrary code.
type Installation struct{ key []byte }

const (
	keyFile  = "installation"
	keyBytes = 32
)

// OpenInstallation returns the installation whose key is in dir, the cache's folder, which
// only its user can access. It creates the key if there is none.
func OpenInstallation(dir string) (Installation, error) {
	file := filepath.Join(dir, keyFile)
	key, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, file); err != nil {
			return Installation{}, fmt.Errorf("create the installation's key: %w", err)
		}
		key, err = os.ReadFile(file)
	}
	if err == nil && len(key) != keyBytes {
		err = fmt.Errorf("%s has %d bytes, not %d; remove it", file, len(key), keyBytes)
	}
	return Installation{key}, err
}

// makeKey creates a key, unless another process is first.
func makeKey(dir, file string) error {
	tmp, err := os.CreateTemp(dir, tmpPrefix)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails
	_, err = tmp.Write(key)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Sign marks a record as written by this installation; the zero Installation sets no mark.
func (i Installation) Sign(r *Run) {
	if r.Mark = ""; len(i.key) > 0 {
		r.Mark = hex.EncodeToString(i.mark(*r))
	}
}

// Wrote reports whether the installation wrote the kernels and programs of the record.
func (i Installation) Wrote(r Run) bool {
	mark, err := hex.DecodeString(r.Mark)
	return err == nil && len(i.key) > 0 && hmac.Equal(mark, i.mark(r))
}

func (i Installation) mark(r Run) []byte {
	type named struct {
		Name, Spec string
		Program    *program.Program
	}
	all := []named{}
	here := ""
	for _, k := range r.Kernels {
		all = append(all, named{k.Name, k.Spec, nil})
		if relative(k.Spec) {
			here, _ = os.Getwd()
		}
	}
	if here != "" { // in another folder the same spec names another tree
		all = append(all, named{"", here, nil})
	}
	for _, s := range r.Scenarios {
		if s.Program != nil {
			all = append(all, named{s.ID, "", s.Program})
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings always encode
	}
	h := hmac.New(sha256.New, i.key)
	h.Write(b)
	return h.Sum(nil)
}

// relative reports whether a spec depends on the working folder.
func relative(spec string) bool {
	scheme, arg, ok := strings.Cut(spec, ":")
	if !ok || scheme == "apt" {
		return false
	}
	paths, settings, _ := strings.Cut(arg, "?")
	for path := range strings.SplitSeq(paths, ",") {
		if !strings.HasPrefix(path, "/") {
			return true
		}
	}
	for setting := range strings.SplitSeq(settings, "&") {
		name, value, _ := strings.Cut(setting, "=")
		file := name == "config" || name == "patch" || strings.Contains(value, "/")
		if file && !strings.HasPrefix(value, "/") {
			return true
		}
	}
	return false
}
