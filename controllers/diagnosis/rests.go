package diagnosis

// Rests reports whether every answer stays as it is, however much time passes, until something that is
// known, but Now, is another. It is so of what is in line and healthy, and of nothing else: what is
// amiss is judged at each look. Movement must be of this look, and the session's findings what
// [Findings] has found in it.
func Rests(k *Known) bool {
	m := k.Movement
	return k.inLine() && len(k.Session.Status.Findings) == 0 && len(m.holds)+len(m.denials)+len(m.recent) == 0 && Next(k) == 0
}
