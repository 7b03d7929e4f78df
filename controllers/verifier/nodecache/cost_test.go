package nodecache

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
)

// What a cache of 20,000 sessions that are all foreign needs, or of as many filters, in bytes for
// each: controllers/verifier/README.md and the chart's limits go by it.
func BenchmarkKept(b *testing.B) {
	const many = 20000
	session, err := json.Marshal(foreignSession())
	if err != nil {
		b.Fatal(err)
	}
	five := filter("http")
	for len(five.Spec.Rules) < 5 {
		five.Spec.Rules = append(five.Spec.Rules, five.Spec.Rules[0])
	}
	rules, err := json.Marshal(five)
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		make func(n int) (any, error)
	}{
		{"sessions", func(n int) (any, error) {
			var s v1alpha1.MirrorSession
			if err := json.Unmarshal(session, &s); err != nil {
				return nil, err
			}
			s.Name, s.UID = fmt.Sprintf("session-%05d", n), types.UID(fmt.Sprintf("b9d0ff4a-5cd3-44f1-a264-%012d", n))
			s.Status.Target.MAC = fmt.Sprintf("fa:16:3e:01:%02x:%02x", n>>8, n&255)
			return &s, nil
		}},
		{"filters", func(n int) (any, error) {
			var f v1alpha1.MirrorFilter
			if err := json.Unmarshal(rules, &f); err != nil {
				return nil, err
			}
			f.Name, f.UID = fmt.Sprintf("filter-%05d", n), types.UID(fmt.Sprintf("b9d0ff4a-5cd3-44f1-a264-%012d", n))
			return &f, nil
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				before, x := live(), NewIndex(node)
				for n := range many {
					object, err := kind.make(n)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := x.Put(object); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(live()-before)/many, "B/object")
				runtime.KeepAlive(x)
			}
		})
	}
}

// live are the bytes that the heap keeps.
func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func foreignSession() *v1alpha1.MirrorSession {
	s := full()
	s.Status.Target.NodeName = "worker-0"
	s.Status.Target.InterfaceID, s.Status.Sources[0].InterfaceID = "d58ff6b7-4f96-4da9-a3f5-9d70fbb0a5a3", "2f3c8f3a-6d0e-4a8e-9e5b-2f9a4d1c7e11"
	s.Status.Verification = s.Status.Verification[:1]
	return s
}
