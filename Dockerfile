# The example server (examples/server) and nothing else, or the one for production, with
# --build-arg PROGRAM=examples/production: docs/deploy/image.md
#
# By tag, so that a mirror or a builder of your own can stand in: --build-arg GO_IMAGE=...
ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm

FROM ${GO_IMAGE} AS build
ENV CGO_ENABLED=0 GOWORK=off GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# From its folder, because examples/production is a module of its own.
ARG PROGRAM=examples/server
RUN cd "${PROGRAM}" && go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o /image/server .
# What is in it, in CycloneDX, from the binary itself.
ARG CYCLONEDX=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
RUN go run "${CYCLONEDX}" bin -json -noserial -notimestamp -output /image/server.cdx.json /image/server
# The mount points: a read-only root can't get them later.
RUN mkdir -p /image/etc/ssl/certs /image/downloads /image/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    chmod 0700 /image/downloads && chmod 1777 /image/tmp && chown 65532:65532 /image/downloads

FROM scratch
COPY --from=build /image/ /
ENV HOST=0.0.0.0 PORT=8000 DOWNLOAD_DIR=/downloads LOG_FORMAT=json
EXPOSE 8000
USER 65532:65532
ENTRYPOINT ["/server"]
# For Docker; other platforms have probes of their own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/server", "-health"]
