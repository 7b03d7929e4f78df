package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/plan"
)

// Numbers are the numbers of the parts, of the object of which first is one, that a list shows which is there anyway.
func Numbers[T any](ctx context.Context, first *Part[T]) ([]int, error) {
	return first.numbers(ctx, first.Clock().Add(-first.Resync))
}

// AllNumbers are those of the parts that the cloud has or may have, as far as known has them already or a list
// shows them, which is recent enough to show whatever was made; where that is not to be had yet and several parts
// may have been made, it is waited for.
func AllNumbers[T any](ctx context.Context, first *Part[T], known []int, several bool) ([]int, error) {
	since, conclusive := first.Expectations.FreshnessOfAll(first.Object.GetUID(), first.owned())
	if several && !conclusive {
		return nil, first.uncertain()
	}
	more, err := first.numbers(ctx, later(since, first.Clock().Add(-first.Resync)))
	if err != nil {
		return nil, err
	}
	all := slices.Concat(known, more)
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (p *Part[T]) numbers(ctx context.Context, since time.Time) (numbers []int, err error) {
	all, err := p.Collection.List(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("look for the parts of the %s: %w", p.Collection.Kind, err)
	}
	for _, have := range all.Marked(string(p.Object.GetUID())) {
		mark, ok := plan.MarkOf(p.Collection.Identity(have).Description)
		if ok && mark.Cluster == p.mark().Cluster && !slices.Contains(numbers, mark.Part) {
			numbers = append(numbers, mark.Part)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
