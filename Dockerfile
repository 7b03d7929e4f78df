# The two images of vpcmirror, from scratch, for linux/amd64 and linux/arm64:
#
#   docker build --target manager  -t vpcmirror/manager  --build-arg VERSION=v0.1.0 .
#   docker build --target verifier -t vpcmirror/verifier --build-arg VERSION=v0.1.0 .
#
# `make images` does both with docker, podman or buildah, whichever is there.

# Set it to an image of your own where no registry can be reached (hack/images does).
ARG GO_IMAGE=golang:1.26

# The compiler runs on the builder's architecture, also when the image is for another.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
# Where modules come from and are kept, for builders behind a proxy or with a cache.
ARG GOPROXY
ARG GOSUMDB
ARG GOMODCACHE
ARG GOCACHE=/go/build-cache
ENV CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false" GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY controllers controllers
COPY cmd cmd
ARG TARGETARCH
ARG VERSION=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    GOOS=linux GOARCH=$TARGETARCH go build -ldflags "-s -w -X main.version=$VERSION" -o /out/ ./cmd/manager ./cmd/verifier

FROM scratch AS manager
ARG VERSION=unknown
LABEL org.opencontainers.image.title="vpcmirror manager" \
      org.opencontainers.image.description="Makes traffic mirroring in Huawei Cloud match the MirrorFilters and MirrorSessions of a cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
# To check the certificates of the cloud's endpoints.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM scratch AS verifier
ARG VERSION=unknown
LABEL org.opencontainers.image.title="vpcmirror verifier" \
      org.opencontainers.image.description="Counts the mirrored packets that reach a node and reports them in the status of MirrorSessions" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /out/verifier /verifier
# It needs CAP_NET_RAW and no other capability. A container runtime gives a capability
# to another user than root only in the bounding set, where it has no effect; so this is
# root, with everything but NET_RAW dropped by the pod's security context.
USER 0:0
ENTRYPOINT ["/verifier"]
CMD ["run"]
