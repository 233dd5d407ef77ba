// Package keyring reads files of public OpenPGP keys, with which the metadata of package
// repositories is verified.
package keyring

import (
	"bytes"
	"fmt"
	"os"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// Armor begins a key that is text.
const Armor = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// Read reads the keys in a file.
func Read(name string) (openpgp.EntityList, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read public keys: %w", err)
	}
	keys, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read the public keys in %s: %w", name, err)
	}
	return keys, nil
}

// Parse parses keys, armored or not.
func Parse(data []byte) (openpgp.EntityList, error) {
	if bytes.Contains(data, []byte(Armor)) {
		return openpgp.ReadArmoredKeyRing(bytes.NewReader(data))
	}
	return openpgp.ReadKeyRing(bytes.NewReader(data))
}
