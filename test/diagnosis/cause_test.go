package diagnosis

import (
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// cause is a row of the catalogue: one thing that keeps copies away, or whole ones, or makes
// the counts of them worthless; and what the session has to say of it. What hack/reference
// prints of it is given as literals.
type cause struct {
	// id names the objects of the row, and its row in the table.
	id string
	// name is what is wrong, as a sentence.
	name string
	// by is how it can be told: read, count, node, spec or client.
	by string
	// flows lets copies flow first and injects the cause then; else all is broken from the
	// beginning.
	flows bool
	// needs is what the row has of the world beyond one source, one target and their groups.
	needs needs
	// shape changes filter and session before they are applied.
	shape func(s *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession)
	// prepare changes the cloud before the objects are applied.
	prepare func(s *site) error
	// inject is the cause.
	inject func(s *site) error
	// want is what is to be said.
	want says
	// within is the promise, from the injection on; 30 s unless set.
	within time.Duration
}

// says is what a session has to say. In the texts {source}, {other}, {target}, {peer} are
// addresses, {host} is the target's host, {source.group} and {group} are the names of the security groups, {session} is
// the name of the session and {foreign} that of another one.
type says struct {
	// reason of the worst finding; or what is accepted in its place, where two are as good.
	reason string
	or     []string
	// condition makes it the reason and the message of that condition, which is then not True
	// unless it says so, where nothing is found; empty for the worst finding.
	condition string
	// subject is in the finding's subject or, where the session has one of its kind alone, in
	// its message.
	subject string
	// words are in message or remedy.
	words []string
	// path is the status that PathClear has, empty for any.
	path string
	// change is in one of status.changes that somebody else in the cloud made.
	change []string
	// why is what `kubectl mirror why` prints, with the manager away.
	why []string
	// mended is true where the operator undoes it by itself: copies flow again.
	mended bool
}

// needs is what a row has of the world.
type needs struct {
	// sources is how many there are; 1 unless set.
	sources int
	// perServer is how many of them are interfaces of one server; 1 unless set.
	perServer int
	// byHand leaves it to the test to send, and to take what is sent.
	byHand bool
	// ownHost gives the target a host of its own, with a verifier of its own unless
	// noVerifier; nothing listens there unless consumer.
	ownHost, noVerifier, consumer bool
	// skew is how much the clock of the target's verifier is ahead.
	skew time.Duration
	// sourceSubnet and targetSubnet are subnets of the row's own.
	sourceSubnet, targetSubnet bool
	// vpc puts the target into a VPC of its own, which a peering joins; unpeered leaves that out.
	vpc, unpeered bool
	// flavor of the source's server.
	flavor string
	// account gives the row an access key of its own.
	account bool
	// port that the traffic goes to; 1234 unless set.
	port int
	// size of the datagrams' payload.
	size int
	// egress sends from the source to the peer, in place of the other way.
	egress bool
	// quiet sends nothing.
	quiet bool
}

// service is the port that the row's traffic goes to.
func (c *cause) service() int {
	if c.needs.port != 0 {
		return c.needs.port
	}
	return servicePort
}
