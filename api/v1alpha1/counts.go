package v1alpha1

// fields are all counts of c. The arithmetic below goes over them, so that a count that
// is added to the type takes part in all of it.
func (c *Counts) fields() [6]*int64 {
	return [...]*int64{&c.Packets, &c.Bytes, &c.Unexpected, &c.Undecided, &c.ForeignSource, &c.Dropped}
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

// Plus returns the sum of both.
func (c Counts) Plus(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return a + b })
}

// Minus returns c without other; it is negative where other has more.
func (c Counts) Minus(other Counts) Counts {
	return c.combine(other, func(a, b int64) int64 { return a - b })
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
