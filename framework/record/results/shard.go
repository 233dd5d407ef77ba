package results

import (
	"fmt"

	"github.com/faultline/faultline/internal/errkind"
)

// Shard is a part of a plan: number Index, from 1, of Of. The zero value is the whole plan.
type Shard struct{ Index, Of int }

// mostShards bounds Of, so that Cut does not overflow.
const mostShards = 999_999

// ParseShard parses "2/4"; the empty string is the whole plan.
func ParseShard(s string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	var sh Shard
	var rest string
	n, _ := fmt.Sscanf(s, "%d/%d%s", &sh.Index, &sh.Of, &rest)
	if n != 2 || sh.Index < 1 || sh.Of < sh.Index || sh.Of > mostShards {
		return sh, errkind.Requestf("shard %q: want I/N with I from 1 to N, such as 2/4", s)
	}
	return sh, nil
}

// String returns the shard in the form that ParseShard reads.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// MarshalText implements encoding.TextMarshaler.
func (s Shard) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Shard) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShard(string(text))
	return err
}

// Cut returns the shard's part of n items. It is contiguous, so that a shard of a plan
// that is ordered by kernel needs as few kernels as possible. Every item is in exactly one
// shard.
func (s Shard) Cut(n int) (from, to int) {
	if s.Of == 0 {
		return 0, n
	}
	return n * (s.Index - 1) / s.Of, n * s.Index / s.Of
}
