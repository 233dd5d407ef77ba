package repository

import (
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/faultline/faultline/internal/keyring"
)

// Trust decides which Release files are accepted. The zero value accepts none.
type Trust struct {
	Unsigned bool // accept any: Trusted: yes in sources.list(5)
	Expired  bool // accept old ones, as those of a snapshot: Check-Valid-Until: no
	keys     openpgp.EntityList
}

// list returns what the reader of signatures takes: nil turns verification off.
func (t *Trust) list() *openpgp.EntityList {
	if t.Unsigned {
		return nil
	}
	return &t.keys
}

// Read adds the public keys in a file, armored or not.
func (t *Trust) Read(name string) error {
	keys, err := keyring.Read(name)
	t.keys = append(t.keys, keys...)
	return err
}

// Add adds public keys, armored or not.
func (t *Trust) Add(data []byte) error {
	keys, err := keyring.Parse(data)
	t.keys = append(t.keys, keys...)
	return err
}

// InlineKeys returns the text of the keys in a field Signed-By that contains them: the lines
// after the first begin with a space, and an empty one is a dot (deb822(5)).
func InlineKeys(field string) (text string, ok bool) {
	if !strings.Contains(field, keyring.Armor) {
		return "", false
	}
	var b strings.Builder
	for line := range strings.Lines(field) {
		if line = strings.TrimSpace(line); line == "." {
			line = ""
		}
		b.WriteString(line + "\n")
	}
	return b.String(), true
}
