package diagnosis

import "iter"

// handful is a map of a few things, such as the sources of one session. A process keeps several for each of
// thousands of sessions, and a map has room for eight of whatever is in it. The zero value is empty.
type handful[K comparable, V any] []pair[K, V]

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (f handful[K, V]) at(key K) (value V, ok bool) {
	for i := range f {
		if f[i].key == key {
			return f[i].value, true
		}
	}
	return value, false
}

// of is at where what is not there is the zero value.
func (f handful[K, V]) of(key K) V {
	value, _ := f.at(key)
	return value
}

func (f *handful[K, V]) set(key K, value V) {
	for i := range *f {
		if (*f)[i].key == key {
			(*f)[i].value = value
			return
		}
	}
	next := make(handful[K, V], len(*f), len(*f)+1) // as much room as there is to be
	copy(next, *f)
	*f = append(next, pair[K, V]{key, value})
}

func (f *handful[K, V]) remove(key K) {
	for i := range *f {
		if (*f)[i].key == key {
			*f = append(append(handful[K, V]{}, (*f)[:i]...), (*f)[i+1:]...)
			return
		}
	}
}

func (f handful[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, p := range f {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}
