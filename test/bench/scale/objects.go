package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationac "k8s.io/client-go/applyconfigurations/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"

	"vpcmirror.io/operator/test/bench/cluster"
)

// atOnce is how many requests of the benchmark itself are under way.
const atOnce = 16

// each calls do with every number below n, several at a time.
func each(ctx context.Context, n int, do func(ctx context.Context, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// join makes the nodes of the cluster, and leases of the verifiers on those with targets, which are
// renewed until the end.
func (s *stage) join(ctx context.Context) error {
	err := each(ctx, s.nodes, func(ctx context.Context, n int) error { return s.API.Create(ctx, s.node(n)) })
	if err != nil {
		return fmt.Errorf("make the nodes: %w", err)
	}
	if err := s.renew(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.Later(func() error {
		cancel()
		<-done
		return nil
	})
	go func() {
		defer close(done)
		for cluster.Pause(ctx, leaseDuration/3) == nil {
			if err := s.renew(ctx); err != nil && ctx.Err() == nil {
				s.say("%v", err)
			}
		}
	}()
	return nil
}

const leaseDuration = 40 * time.Second

func (s *stage) renew(ctx context.Context) error {
	err := each(ctx, s.hosts(), func(ctx context.Context, n int) error {
		node := nodeName(n)
		lease := coordinationac.Lease(v1alpha1.LeaseName(node), cluster.SystemNamespace).
			WithLabels(map[string]string{"app.kubernetes.io/name": "vpcmirror", "app.kubernetes.io/component": "verifier"}).
			WithSpec(coordinationac.LeaseSpec().WithHolderIdentity(node).
				WithLeaseDurationSeconds(int32(leaseDuration / time.Second)).WithRenewTime(metav1.NowMicro()))
		return s.API.Apply(ctx, lease, client.FieldOwner(v1alpha1.VerifierName(node)), client.ForceOwnership)
	})
	if err != nil {
		return fmt.Errorf("renew the verifiers' leases: %w", err)
	}
	return nil
}

// create makes all filters and sessions, as kubectl apply of a folder does.
func (s *stage) create(ctx context.Context) error { return s.createFirst(ctx, s.sessions) }

// createFirst makes all filters and the first sessions.
func (s *stage) createFirst(ctx context.Context, sessions int) error {
	err := each(ctx, s.filters(), func(ctx context.Context, n int) error { return s.API.Create(ctx, s.filter(n)) })
	if err != nil {
		return fmt.Errorf("make the filters: %w", err)
	}
	err = each(ctx, sessions, func(ctx context.Context, n int) error { return s.API.Create(ctx, s.session(n)) })
	if err != nil {
		return fmt.Errorf("make the sessions: %w", err)
	}
	return nil
}

// all lists the sessions, in pages so that none is too large.
func (s *stage) all(ctx context.Context) ([]v1alpha1.MirrorSession, error) {
	var found []v1alpha1.MirrorSession
	for next := ""; ; {
		var page v1alpha1.MirrorSessionList
		if err := s.API.List(ctx, &page, client.InNamespace(namespace), client.Limit(1000), client.Continue(next)); err != nil {
			return nil, fmt.Errorf("list the sessions: %w", err)
		}
		found = append(found, page.Items...)
		if next = page.Continue; next == "" {
			return found, nil
		}
	}
}

// ready waits until every session is Ready, and returns when the last became it, to the second.
func (s *stage) ready(ctx context.Context, patience time.Duration) (last time.Time, err error) {
	return s.readyFirst(ctx, s.sessions, patience)
}

// readyFirst waits for all filters and the first sessions.
func (s *stage) readyFirst(ctx context.Context, count int, patience time.Duration) (last time.Time, err error) {
	err = cluster.Until(ctx, patience, 250*time.Millisecond, "the cloud has all sessions", func() (bool, error) {
		now, err := s.cloud.stats(ctx)
		return now.Sessions >= count && now.Rules >= rulesPerFilter*s.filters(), err
	})
	if err != nil {
		return last, err
	}
	every := time.Second * time.Duration(1+count/5000)
	err = cluster.Until(ctx, patience, every, "all sessions are Ready", func() (bool, error) {
		sessions, err := s.all(ctx)
		if err != nil {
			return false, err
		}
		for i := range sessions {
			c := meta.FindStatusCondition(sessions[i].Status.Conditions, v1alpha1.ConditionReady)
			if c == nil || c.Status != metav1.ConditionTrue {
				return false, nil
			}
			if c.LastTransitionTime.After(last) {
				last = c.LastTransitionTime.Time
			}
		}
		return len(sessions) == count, nil
	})
	return last, err
}

// report writes the first entry of the first count sessions as the verifier on the target's node
// does, and waits until the manager has summed them up.
func (s *stage) report(ctx context.Context, count int) error {
	err := each(ctx, count, func(ctx context.Context, n int) error { return s.reportOne(ctx, n) })
	if err != nil {
		return fmt.Errorf("write the entries of the verifiers: %w", err)
	}
	return cluster.Until(ctx, 10*time.Minute, time.Second, "the entries are summed up", func() (bool, error) {
		sessions, err := s.all(ctx)
		summed := 0
		for i := range sessions {
			if t := sessions[i].Status.Traffic; t != nil && t.Packets > 0 {
				summed++
			}
		}
		return summed >= count, err
	})
}

func (s *stage) reportOne(ctx context.Context, n int) error {
	for {
		session := s.session(n)
		if err := s.API.Get(ctx, client.ObjectKeyFromObject(session), session); err != nil {
			return err
		}
		err := report.Write(ctx, s.API, session, s.entry(n, session))
		if !errors.Is(err, report.ErrChanged) {
			return err
		}
	}
}

// entry is what the verifier of a healthy session says.
func (s *stage) entry(n int, session *v1alpha1.MirrorSession) v1alpha1.Verification {
	now := time.Now()
	counts := v1alpha1.Counts{Packets: 1, Bytes: 100}
	last := new(metav1.NewMicroTime(now))
	e := v1alpha1.Verification{
		Counts: counts, Node: nodeName(s.hostOf(n / sessionsPerTarget)), Interface: "eth0", ObservedAt: *last, StartedAt: last,
		FirstPacketAt: last, LastPacketAt: last, LastPacket: "IP 10.16.7.1.38944 > 10.16.1.1.1000: Flags [S], length 0",
		Epoch: session.Status.Epoch, InEpoch: &counts,
		Rules:    []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: counts.Packets}},
		Consumer: &v1alpha1.Consumer{Status: "True", Reason: v1alpha1.ReasonConsumerSeen, Message: "a packet socket reads what arrives"},
	}
	for _, source := range session.Status.Sources {
		e.Sources = append(e.Sources, v1alpha1.SourceCounts{
			InterfaceID: source.InterfaceID, Address: source.Addresses[0], Packets: counts.Packets, Bytes: counts.Bytes, LastPacketAt: last,
		})
	}
	return e
}
