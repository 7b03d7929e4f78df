package mirrorsession

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/utils/lru"
)

// shared are the few things that most sessions have in common, such as the one group of all servers: each
// is kept once however many sessions remember it. The zero value is ready.
type shared struct {
	once sync.Once
	all  *lru.Cache
}

// maxShared is how many are kept.
const maxShared = 1024

// shareMap returns the map that an earlier session has given that is the same, and else what it is given.
// Nobody changes it.
func shareMap[V any](s *shared, is map[string]V) map[string]V {
	if len(is) == 0 {
		return is
	}
	return share(s, is, slices.Sorted(maps.Keys(is)))
}

// shareList does so with a list, whose items have IDs.
func shareList[V any](s *shared, is []V, id func(V) string) []V {
	if len(is) == 0 {
		return is
	}
	ids := make([]string, 0, len(is))
	for _, one := range is {
		ids = append(ids, id(one))
	}
	return share(s, is, ids)
}

func share[T any](s *shared, is T, ids []string) T {
	s.once.Do(func() { s.all = lru.New(maxShared) })
	key := fmt.Sprintf("%T %s", is, strings.Join(ids, " "))
	if found, known := s.all.Get(key); known {
		if was, ok := found.(T); ok && reflect.DeepEqual(was, is) {
			return was
		}
	}
	s.all.Add(key, is)
	return is
}
