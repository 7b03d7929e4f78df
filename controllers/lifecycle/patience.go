package lifecycle

import (
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"vpcmirror.io/operator/controllers/status"
)

// The looks at objects of one namespace that wait for what no watch shows: so many a second
// on average, and so many at once. Each may cost a call to the cloud.
const (
	looksPerSecond = 1
	looksAtOnce    = 30
	// manyNamespaces is how many limiters may exist before full ones are dropped.
	manyNamespaces = 256
)

// patience says when objects are looked at again that wait for what no watch shows: after a
// second at first and then ever later, and one by one where many of a namespace wait.
type patience struct {
	mu          sync.Mutex
	objects     *lru.Cache // attempts by UID
	byNamespace map[string]*rate.Limiter
}

// attempts are how often an object has ended alike.
type attempts struct {
	reason     string
	generation int64
	count      int
}

func newPatience() *patience {
	return &patience{objects: lru.New(remembered), byNamespace: make(map[string]*rate.Limiter)}
}

// next returns when to look again at an object that ended with a problem which has a Within:
// not before the problem's After, and not much later than most for the sake of others.
func (p *patience) next(o status.Object, problem *Problem, most time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, _ := p.objects.Get(o.GetUID())
	a, _ := found.(attempts)
	if a.reason != problem.Reason || a.generation != o.GetGeneration() {
		a = attempts{reason: problem.Reason, generation: o.GetGeneration()}
	}
	a.count++
	p.objects.Add(o.GetUID(), a)
	now := time.Now()
	turn := p.limiter(o.GetNamespace(), now).ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > most {
		turn.CancelAt(now)
		wait = most + rand.N(most/10+1)
	}
	grown := growth(a.count, problem.Within)
	return max(problem.After+rand.N(problem.After/10+1), grown-rand.N(grown/10+1), wait)
}

// growth is a second, doubled with each attempt after the first, and at most the bound.
func growth(attempt int, bound time.Duration) time.Duration {
	const enough = 20 // doublings, after which every bound is reached
	return min(time.Second<<min(attempt-1, enough), bound)
}

func (p *patience) limiter(namespace string, now time.Time) *rate.Limiter {
	if found, ok := p.byNamespace[namespace]; ok {
		return found
	}
	if len(p.byNamespace) >= manyNamespaces {
		for name, l := range p.byNamespace {
			if l.TokensAt(now) >= looksAtOnce {
				delete(p.byNamespace, name)
			}
		}
	}
	made := rate.NewLimiter(looksPerSecond, looksAtOnce)
	p.byNamespace[namespace] = made
	return made
}

// forget begins anew with an object that ended well, or is gone.
func (p *patience) forget(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects.Remove(uid)
}
