# syntax=docker/dockerfile:1
# One static binary and nothing else: no shell, no libc, no root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=docker
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /serval ./cmd/serval

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /serval /serval
USER 65532:65532
EXPOSE 3307 9307
STOPSIGNAL SIGTERM
ENTRYPOINT ["/serval"]
CMD ["serve", "-c", "/etc/serval/serval.yaml"]
