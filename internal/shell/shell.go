// Package shell writes commands as any POSIX shell reads them back.
//
// It is ours because the library for it, mvdan.cc/sh, refuses a newline where the
// shell is not bash.
package shell

import "strings"

// Quote joins a command's words so that a shell reads them back as they are.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w != "" && strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%") == "" {
			quoted[i] = w
			continue
		}
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
