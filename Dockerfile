# syntax=docker/dockerfile:1
# The product alone, in two images: one static binary each on an empty base, as an unprivileged numeric user. There is no shell
# in them: probe them over gRPC health, or run `latchkey status`.
#   --target latchkey   everything: a hub, or one process that does it all (the default)
#   --target sidecar    latchkey-sidecar alone, for the pod
# With --build-context build=FOLDER what the first stage makes comes out of a folder, and no Go is needed.
ARG GO=1.26

# On the builder's own platform, whatever the images are for: Go compiles for others by itself.
FROM --platform=$BUILDPLATFORM golang:${GO}-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOCACHE=/cache/build GOMODCACHE=/cache/mod
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/cache go mod download
COPY . .
ARG TARGETOS TARGETARCH
# The sources come without .git, so both are said.
ARG VERSION=unknown
ARG REVISION=
# The same sources make the same bytes, in whatever folder and at whatever time.
RUN --mount=type=cache,target=/cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X main.version=${VERSION} -X github.com/latchkey/latchkey/internal/serve.commit=${REVISION}" \
      -o /out/bin/ ./cmd/latchkey ./cmd/latchkey-sidecar
# What an empty base lacks: the name of the user, CAs for mutual TLS by public ones (a private CA is a file that the
# configuration names), and a folder that this user may write.
RUN mkdir -p /out/etc/ssl/certs /out/home && \
    echo 'latchkey:x:65532:65532:latchkey:/var/lib/latchkey:/sbin/nologin' >/out/etc/passwd && \
    echo 'latchkey:x:65532:' >/out/etc/group && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/ && \
    mkdir -m 0700 /out/home/latchkey

# What both have beside their binary.
FROM scratch AS base
COPY --from=build /out/etc/ /etc/
# Made here, so that it is root's, and only the folder in it the user's.
WORKDIR /var/lib
COPY --from=build --chown=65532:65532 /out/home/ ./
# The default data folder, ./latchkey-data, lies below it; mount a volume here to keep it.
WORKDIR /var/lib/latchkey
# By number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
ARG VERSION=unknown
ARG REVISION=
LABEL org.opencontainers.image.source="https://github.com/latchkey/latchkey" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS sidecar
LABEL org.opencontainers.image.title="Latchkey sidecar" \
      org.opencontainers.image.description="Checks API keys beside Envoy, from a store that follows a hub"
COPY --from=build /out/bin/latchkey-sidecar /usr/local/bin/latchkey-sidecar
ENTRYPOINT ["/usr/local/bin/latchkey-sidecar"]

# Last, so that a build without --target makes it.
FROM base AS latchkey
LABEL org.opencontainers.image.title="Latchkey" \
      org.opencontainers.image.description="Checks API keys at the mesh's edge, for Envoy's ext_authz"
COPY --from=build /out/bin/latchkey /usr/local/bin/latchkey
ENTRYPOINT ["/usr/local/bin/latchkey"]
