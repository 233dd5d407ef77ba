package results

import (
	"fmt"

	"github.com/faultline/faultline/internal/errkind"
)

// Shard is a part of a plan: the Index-th (from 1) of Of. The zero value is all of it.
type Shard struct{ Index, Of int }

// mostShards is more than anybody has machines for, and keeps Cut from overflowing.
const mostShards = 999_999

// ParseShard reads "2/4"; empty is the whole run.
func ParseShard(s string) (Shard, error) {
	if s == "" {
		return Shard{}, nil
	}
	var sh Shard
	var rest string
	n, _ := fmt.Sscanf(s, "%d/%d%s", &sh.Index, &sh.Of, &rest)
	if n != 2 || sh.Index < 1 || sh.Of < sh.Index || sh.Of > mostShards {
		return sh, errkind.Requestf("shard %q: want I/N with I from 1 to N, as in 2/4", s)
	}
	return sh, nil
}

// String is the shard as ParseShard reads it.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// MarshalText is its form in a record.
func (s Shard) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it.
func (s *Shard) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShard(string(text))
	return err
}

// Cut is the shard's part of n things: contiguous, so that with a plan ordered
// by kernel a shard needs as few kernels as can be; every thing is in exactly
// one shard.
func (s Shard) Cut(n int) (from, to int) {
	if s.Of == 0 {
		return 0, n
	}
	return n * (s.Index - 1) / s.Of, n * s.Index / s.Of
}
