// Package tally counts the copies that arrive at one interface: per mirror
// session, and everything else by what it is.
//
// A [Tally] belongs to one ring. The goroutine that reads the ring hands it a
// block at a time:
//
//	t := tally.New(vxlan.Port)
//	_, err := t.SetSessions(sessions) // at any time, from any goroutine
//	for {
//		block, err := ring.Next(time.Second)
//		if err != nil { ... } // errors.Is(err, capture.ErrInterfaceDown): open another ring
//		if block == nil { continue }
//		t.Count(block)
//		block.Release()
//	}
//
// and any goroutine may take a [Tally.Snapshot] meanwhile; it sees whole blocks
// only. Inside a block counting takes no lock, no atomic operation and
// no memory.
//
// The key of a stream is the outer source address together with the VNI, so
// that a sender inside the mirrored network, who can put anything into a
// frame, can't move a count to another session. Only who can send from the
// address of a mirror source can.
//
// Sessions don't know of each other: each counts what it would count alone, so
// that none takes a count from another by claiming the same stream.
//
// Books are kept in frames and balance exactly ([Snapshot.Check]); packets are
// another set of numbers, since a super-frame carries several.
//
// It may import api, controllers/verifier/capture, controllers/verifier/match,
// controllers/verifier/probe and controllers/verifier/vxlan.
package tally
