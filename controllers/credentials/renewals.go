package credentials

import (
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/cloud"
)

// Renewals tells of the temporary keys of the operator's own credentials: in the log, when that changes, and as metrics.
type Renewals struct {
	log      logr.Logger
	expires  *prometheus.GaugeVec
	attempts *prometheus.CounterVec

	mu      sync.Mutex
	failing map[string]bool
}

// NewRenewals tells log and registerer; nil leaves the metrics unregistered.
func NewRenewals(log logr.Logger, registerer prometheus.Registerer) (*Renewals, error) {
	r := &Renewals{log: log, failing: map[string]bool{}}
	r.expires = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "vpcmirror_own_credentials_expiry_timestamp_seconds",
		Help: "When the temporary keys of the operator's own credentials end, by what issues them; 0 when there are none in force. There is no series for keys that stay.",
	}, []string{"issuer"})
	r.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vpcmirror_own_credentials_renewals_total",
		Help: "Attempts to get temporary keys for the operator's own credentials, by what issues them and result (OK or Failed).",
	}, []string{"issuer", "result"})
	if registerer == nil {
		return r, nil
	}
	return r, errors.Join(registerer.Register(r.expires), registerer.Register(r.attempts))
}

// Of gives what hears of the renewals of one issuer.
func (r *Renewals) Of(issuer string) func(Renewal) {
	if r == nil {
		return nil
	}
	return func(renewal Renewal) { r.note(issuer, renewal) }
}

func (r *Renewals) note(issuer string, renewal Renewal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ends := 0.0
	if !renewal.Expires.IsZero() {
		ends = float64(renewal.Expires.Unix())
	}
	r.expires.WithLabelValues(issuer).Set(ends)
	log := r.log.WithValues("issuer", issuer, "again", renewal.Again.UTC().Format(time.RFC3339))
	if ends != 0 {
		log = log.WithValues("expires", renewal.Expires.UTC().Format(time.RFC3339))
	}
	if renewal.Err == nil {
		r.attempts.WithLabelValues(issuer, "OK").Inc()
		log.Info("The operator's own credentials have new keys")
		r.failing[issuer] = false
		return
	}
	r.attempts.WithLabelValues(issuer, "Failed").Inc()
	log = log.WithValues("reason", renewal.Err.Error(), "detail", cloud.DetailOf(renewal.Err))
	switch {
	case r.failing[issuer]:
		log.V(1).Info("The operator's own credentials still get no new keys")
	case ends != 0:
		log.Info("The operator's own credentials get no new keys; those that they have are used until they end")
	default:
		log.Info("The operator's own credentials get no keys: objects that need them wait")
	}
	r.failing[issuer] = true
}
