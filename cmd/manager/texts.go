package main

import (
	"hash/maphash"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/utils/lru"
)

// texts keeps once what many objects say in the same words: names of nodes, filters and Secrets, reasons, and
// messages that name nothing; and once for each object what that one says several times, such as the IDs of its
// interfaces. Package unique
// would forget a text at the next collection of garbage, as nobody keeps its handle, and whatever is decoded
// later would have its own. It may be used by several goroutines.
type texts struct {
	seed maphash.Seed
	all  *lru.Cache
	// seen tells which object said a text first: what one object alone says, however often, is not kept. A
	// text takes the place of another here now and then, and is kept a little later then.
	seen [1 << 16]atomic.Uint64
	// own are maps that were used for one object each, and are empty.
	own sync.Pool
}

// maxShared is the longest text that is kept for others, in bytes: an owner's name may be as long as an object.
const maxShared = 1 << 10

// maxTexts are more than there are words, nodes and filters; what is said more rarely is kept with its object.
const maxTexts = 16384

func newTexts() *texts {
	return &texts{seed: maphash.MakeSeed(), all: lru.New(maxTexts)}
}

// share puts for each text of an object, which is a pointer, one that is the same and that the object or
// others have already. Keys and values of maps are left as they are.
func (t *texts) share(object any, uid string) {
	own, ok := t.own.Get().(map[string]string)
	if !ok {
		own = map[string]string{}
	}
	defer func() {
		clear(own)
		t.own.Put(own)
	}()
	walkTexts(reflect.ValueOf(object), func(v reflect.Value) {
		text := v.String()
		is, known := own[text]
		if !known {
			is = t.one(text, uid)
			own[text] = is
		}
		v.SetString(is)
	})
}

func (t *texts) one(text, uid string) string {
	if len(text) > maxShared {
		return text
	}
	if known, ok := t.all.Get(text); ok {
		if is, ok := known.(string); ok {
			return is
		}
	}
	hash, owner := maphash.String(t.seed, text), maphash.String(t.seed, uid)
	place := &t.seen[hash%uint64(len(t.seen))]
	const half = 32
	said := hash>>half<<half | owner>>half
	if before := place.Swap(said); before>>half != said>>half || before == said {
		return text
	}
	text = strings.Clone(text) // which may be a part of something longer
	t.all.Add(text, text)
	return text
}

// walkTexts gives what has texts in it that can be set.
func walkTexts(v reflect.Value, do func(reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() && v.Len() > 0 {
			do(v)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			walkTexts(v.Elem(), do)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			walkTexts(v.Index(i), do)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Field(i); field.CanSet() { // else it belongs to whoever made the type: a time has its whole zone
				walkTexts(field, do)
			}
		}
	default:
	}
}
