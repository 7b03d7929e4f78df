package cloud

import "context"

// Urgency is how much it matters that a call is made soon, where calls to an account have to wait for
// each other.
type Urgency int

// The urgencies. Of one urgency writes go before reads.
const (
	// Routine is what nobody waits for: the comparison that comes again and again, and all that
	// explains.
	Routine Urgency = iota
	// Edited is what somebody has just asked for: a new object, a changed one, one to be deleted.
	Edited
)

type urgencyKey struct{}

// WithUrgency says how urgent the calls are that are made with the context.
func WithUrgency(ctx context.Context, u Urgency) context.Context {
	return context.WithValue(ctx, urgencyKey{}, u)
}

// UrgencyOf is how urgent the calls are that are made with the context, Routine where nobody says.
func UrgencyOf(ctx context.Context) Urgency {
	u, _ := ctx.Value(urgencyKey{}).(Urgency)
	return u
}
