package results

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// slugLimit keeps a slug, with a cell's attempt and the affixes of a temporary file, below
// the 255 bytes of a file name.
const slugLimit = 120

// Slug returns a file name for a kernel's name or a scenario's id: "/" becomes "__", other
// unsafe characters become "-". If that, or shortening a long name, could give two names
// the same slug, it ends in a digest of the name, so different names have different slugs.
func Slug(name string) string {
	lossy := name == "" || strings.Contains(name, "__") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-")
	var b strings.Builder
	for _, r := range name {
		switch {
		case b.Len() == 0 && (r == '.' || r == '-'): // a hidden file, or like a flag
			b.WriteByte('_')
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9',
			r == '.', r == '_', r == '+', r == '-':
			b.WriteRune(r)
		case r == '/':
			b.WriteString("__")
		case b.Len() == 0:
			b.WriteByte('_')
			lossy = true
		default:
			b.WriteByte('-')
			lossy = true
		}
	}
	// "_/" and "/_" give the same three underscores.
	lossy = lossy || strings.Contains(name, "_/") || strings.Contains(name, "/_") || strings.Contains(name, "//")
	slug := b.String()
	if slug == "" {
		slug = "_"
	}
	if len(slug) > slugLimit {
		slug, lossy = slug[:slugLimit], true
	}
	if !lossy {
		return slug
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(slug, "-") + "-" + hex.EncodeToString(sum[:4])
}
