package startup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// readerTimeout bounds what the API server is asked of a reader.
	readerTimeout = 10 * time.Second
	// readerAge is how long its answer holds, so that a reader who was let in is sent away so much later.
	readerAge = 30 * time.Second
	// maxReaders are so many answers at most, whatever tokens come: those that were asked for last.
	maxReaders = 256
)

// reader is somebody who wants something, by his token.
type reader struct {
	token        [sha256.Size]byte
	verb, target string
}

// readers lets in whom the API server knows by his bearer token, and lets get the URL that he asks for.
// controller-runtime's own filter does the same, with an API server's whole machinery: 45 MB of program and
// 20 MiB of memory on each node.
type readers struct {
	tokens authenticationclient.TokenReviewsGetter
	rights authorizationclient.SubjectAccessReviewsGetter
	log    logr.Logger
	known  *cache.LRUExpireCache
}

// knownReaders is a provider of the filter, as the metrics server takes one.
func knownReaders(config *rest.Config, client *http.Client) (metricsserver.Filter, error) {
	tokens, err := authenticationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("set up the reviews of tokens: %w", err)
	}
	rights, err := authorizationclient.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("set up the reviews of rights: %w", err)
	}
	return func(log logr.Logger, next http.Handler) (http.Handler, error) {
		return (&readers{tokens: tokens, rights: rights, log: log, known: cache.NewLRUExpireCache(maxReaders)}).filter(next), nil
	}, nil
}

// filter lets known readers through to the next handler.
func (r *readers) filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if status := r.status(request); status != http.StatusOK {
			http.Error(w, http.StatusText(status), status)
			return
		}
		next.ServeHTTP(w, request)
	})
}

// status is 200 for who is let in.
func (r *readers) status(request *http.Request) int {
	token, is := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	if token = strings.TrimSpace(token); !is || token == "" {
		return http.StatusUnauthorized
	}
	who := reader{sha256.Sum256([]byte(token)), strings.ToLower(request.Method), request.URL.Path}
	if known, is := r.known.Get(who); is {
		if status, is := known.(int); is {
			return status
		}
	}
	ctx, cancel := context.WithTimeout(request.Context(), readerTimeout)
	defer cancel()
	status, err := r.ask(ctx, token, who)
	if err != nil {
		r.log.Error(err, "Who reads the metrics could not be told")
		return http.StatusInternalServerError
	}
	r.known.Add(who, status, readerAge)
	return status
}

// ask asks the API server.
func (r *readers) ask(ctx context.Context, token string, who reader) (status int, err error) {
	review, err := r.tokens.TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return 0, fmt.Errorf("have a token reviewed: %w", err)
	case !review.Status.Authenticated:
		return http.StatusUnauthorized, nil
	}
	user := review.Status.User
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	access, err := r.rights.SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: who.target, Verb: who.verb},
	}}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return 0, fmt.Errorf("have the rights of %s reviewed: %w", user.Username, err)
	case !access.Status.Allowed:
		return http.StatusForbidden, nil
	}
	return http.StatusOK, nil
}
