# syntax=docker/dockerfile:1
# The product alone, in two images: one static binary each on an empty base, as an unprivileged numeric user. There is no shell
# in them: probe them over gRPC health, or run `latchkey status`.
#   --target latchkey   everything: a hub, or one process that does it all (the default)
#   --target sidecar    latchkey-sidecar alone, for the pod
ARG GO=1.26

FROM --platform=$BUILDPLATFORM golang:${GO}-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOCACHE=/cache/build GOMODCACHE=/cache/mod
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=unknown
RUN --mount=type=cache,target=/cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/latchkey ./cmd/latchkey-sidecar
# What an empty base lacks: the name of the user, and a folder that this user may write.
RUN echo 'latchkey:x:65532:65532:latchkey:/var/lib/latchkey:/sbin/nologin' >/out/passwd && \
    echo 'latchkey:x:65532:' >/out/group && \
    mkdir -m 0700 /out/data

# What both have beside their binary.
FROM scratch AS base
COPY --from=build /out/passwd /out/group /etc/
# For mutual TLS by public CAs; a private CA is a file that the configuration names.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=65532:65532 /out/data /var/lib/latchkey
# The default data folder, ./latchkey-data, lies below it; mount a volume here to keep it.
WORKDIR /var/lib/latchkey
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532

FROM base AS sidecar
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Latchkey sidecar" \
      org.opencontainers.image.description="Checks API keys beside Envoy, from a store that follows a hub" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/latchkey-sidecar /usr/local/bin/latchkey-sidecar
ENTRYPOINT ["/usr/local/bin/latchkey-sidecar"]

# Last, so that a build without --target makes it.
FROM base AS latchkey
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Latchkey" \
      org.opencontainers.image.description="Checks API keys at the mesh's edge, for Envoy's ext_authz" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/latchkey /usr/local/bin/latchkey
ENTRYPOINT ["/usr/local/bin/latchkey"]
