package packets

import "io"

// Plain lets nothing but printable characters, tabs and line ends pass: what a host tells must not steer
// the terminal of whoever reads it.
type Plain struct{ To io.Writer }

// Write writes all of p, with a question mark for each byte that is not passed on.
func (w Plain) Write(p []byte) (int, error) {
	plain := make([]byte, len(p))
	for i, b := range p {
		if plain[i] = b; (b < ' ' && b != '\n' && b != '\t') || b > '~' {
			plain[i] = '?'
		}
	}
	return w.To.Write(plain)
}
