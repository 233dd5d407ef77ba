package sweep

import (
	"errors"
	"io/fs"
	"slices"
)

// perKernel are the kinds of entries of the cache that belong to one kernel.
var perKernel = []string{"kernel", "templates", "initramfs"}

// cached returns the paths of the entries of kernels in the cache.
func (s *sweep) cached() (map[string]bool, error) {
	items, err := s.Cache.List()
	paths := map[string]bool{}
	for _, it := range items {
		paths[it.Path] = true
	}
	return paths, err
}

// drop removes the files of kernels that this sweep fetched, except those of the last ones.
// What was in the cache before belongs to other runs, and stays. Files that cannot be
// removed cost only space.
func (s *sweep) drop(before map[string]bool) {
	items, err := s.Cache.List()
	if err != nil {
		s.Progress.Say("list the cache: %v", err)
		return
	}
	var added []string
	for _, it := range items {
		if slices.Contains(perKernel, it.Kind) && !before[it.Path] {
			added = append(added, it.Path)
		}
	}
	if added == nil {
		return // the kernel was not available, or in the cache before
	}
	s.fetched = append(s.fetched, added)
	for len(s.fetched) > s.KeepKernels {
		for _, it := range items {
			if !slices.Contains(s.fetched[0], it.Path) {
				continue
			}
			if err := s.Cache.Remove(it); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.Progress.Say("remove %s from the cache: %v", it.Path, err)
			}
		}
		s.fetched = s.fetched[1:]
	}
}
