package v1alpha1

// fields are all counts of c. The arithmetic below goes over them, so that a count that
// is added to the type takes part in all of it.
func (c *Counts) fields() [8]*int64 {
	return [...]*int64{&c.Packets, &c.Bytes, &c.Unexpected, &c.Undecided, &c.ForeignSource, &c.Dropped, &c.Truncated, &c.Unreadable}
}

// combine applies f to each count of c and its fellow of other.
func (c Counts) combine(other Counts, f func(a, b int64) int64) Counts {
	var out Counts
	mine, theirs := c.fields(), other.fields()
	for i, result := range out.fields() {
		*result = f(*mine[i], *theirs[i])
	}
	return out
}

// MaxCount is the largest count that the API server takes: enough for years of a link of
// 100 Gbit/s in bytes, and far enough from the end of the numbers that the sum of two
// counts is one.
const MaxCount = 2_000_000_000_000_000_000

// saturated is a count, or a difference of two, that is as large as one may be where it
// would be larger.
func saturated(n int64) int64 { return min(max(n, -MaxCount), MaxCount) }

// InBounds returns the counts as the API server takes them, none negative and none larger
// than MaxCount. What is read can be otherwise: the bounds are younger than the type.
func (c Counts) InBounds() Counts {
	return c.combine(c, func(n, _ int64) int64 { return max(saturated(n), 0) })
}

// Plus returns the sum of both, at most MaxCount.
func (c Counts) Plus(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return saturated(saturated(a) + saturated(b)) })
}

// Minus returns c without other; it is negative where other has more.
func (c Counts) Minus(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return saturated(saturated(a) - saturated(b)) })
}

// Min returns the smaller of both, count by count.
func (c Counts) Min(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return min(a, b) })
}

// Max returns the larger of both, count by count.
func (c Counts) Max(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return max(a, b) })
}

// Any reports whether one of the counts fits, given its fellow of other.
func (c Counts) Any(other Counts, fits func(mine, theirs int64) bool) bool {
	mine, theirs := c.fields(), other.fields()
	for i := range mine {
		if fits(*mine[i], *theirs[i]) {
			return true
		}
	}
	return false
}
