package plan

import (
	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// ChoosePriority returns a session priority that no session of the account has:
// the highest number, so that an allocated session never goes before one whose
// priority somebody chose. rank is how many sessions that also wait for a priority
// are older: several allocated at the same time then get different ones without
// talking to each other. ok is false when none is free.
func ChoosePriority(sessions []cloud.Session, reserved map[int]bool, rank int) (priority int, ok bool) {
	taken := make(map[int]bool, len(sessions))
	for _, s := range sessions {
		taken[s.Priority] = true
	}
	last := 0
	for p := v1alpha1.MaxSessionPriority; p >= 1; p-- {
		if taken[p] || reserved[p] {
			continue
		}
		if last = p; rank == 0 {
			return p, true
		}
		rank--
	}
	return last, last != 0
}

// PriorityHolder returns the session, other than the one with ownID, that has the priority.
func PriorityHolder(sessions []cloud.Session, priority int, ownID string) (cloud.Session, bool) {
	for _, s := range sessions {
		if s.Priority == priority && s.ID != ownID {
			return s, true
		}
	}
	return cloud.Session{}, false
}

// PriorityRing says whether sessions wait for each other's priorities: the session with
// ownID asks for one whose holder asks for one, and so on, whose holder has ownID. asks
// has by the session's ID which priority it is to get.
func PriorityRing(sessions []cloud.Session, asks map[string]int, ownID string) bool {
	id := ownID
	for range sessions { // a ring that own is not in has no end
		wanted, moves := asks[id]
		if !moves {
			return false
		}
		holder, taken := PriorityHolder(sessions, wanted, id)
		if !taken {
			return false
		}
		if holder.ID == ownID {
			return true
		}
		id = holder.ID
	}
	return false
}

// ChooseVNI returns the smallest VNI from 1 that no other session to the target has,
// foreign ones included, and that is not reserved; the rank-th of them, see
// ChoosePriority. The cloud itself would give VNI 1 to everyone, and two sessions to
// one target could not be told apart.
func ChooseVNI(sessions []cloud.Session, targetID, ownID string, reserved map[int]bool, rank int) (vni int, ok bool) {
	taken := make(map[int]bool)
	for _, s := range sessions {
		if s.TargetID == targetID && s.ID != ownID {
			taken[s.VNI] = true
		}
	}
	for v := 1; v <= v1alpha1.MaxVNI; v++ {
		if taken[v] || reserved[v] {
			continue
		}
		if rank == 0 {
			return v, true
		}
		rank--
	}
	return 0, false
}
