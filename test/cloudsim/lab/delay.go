package lab

import (
	"sync"
	"time"
)

// pipeline passes values on in order, each after a delay. What has none passes at once, unless something is before it.
type pipeline[T any] struct {
	pass func(T)

	mu     sync.Mutex
	waits  []waiting[T] // in the order in which they are due
	timer  *time.Timer
	closed bool
}

type waiting[T any] struct {
	value T
	due   time.Time
}

func (p *pipeline[T]) put(value T, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if len(p.waits) == 0 && delay <= 0 {
		p.pass(value)
		return
	}
	due := time.Now().Add(delay)
	if n := len(p.waits); n > 0 && p.waits[n-1].due.After(due) {
		due = p.waits[n-1].due // nothing overtakes
	}
	p.waits = append(p.waits, waiting[T]{value, due})
	if len(p.waits) == 1 {
		p.timer = time.AfterFunc(time.Until(due), p.advance)
	}
}

// advance passes what is due on.
func (p *pipeline[T]) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && len(p.waits) > 0 && !p.waits[0].due.After(time.Now()) {
		p.pass(p.waits[0].value)
		p.waits = p.waits[1:]
	}
	if !p.closed && len(p.waits) > 0 {
		p.timer = time.AfterFunc(time.Until(p.waits[0].due), p.advance)
	}
}

// close drops what still waits. Nothing is passed on afterwards.
func (p *pipeline[T]) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.waits = true, nil
	if p.timer != nil {
		p.timer.Stop()
	}
}
