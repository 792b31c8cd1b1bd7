# syntax=docker/dockerfile:1
FROM rust:1-slim-bookworm AS build
# the repository pins what it builds with by Cargo.lock; the compiler's packages follow the distribution
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# a layer of its own for the dependencies: it is made anew when they change, not when the source does
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src
COPY .sqlx .sqlx
COPY migrations migrations
COPY policies policies
COPY src src
# cargo goes by times: the source must look newer than what was built in its place
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked \
    && install -D target/release/portcullis /image/usr/local/bin/portcullis \
    && install -d /image/data /image/secrets/owner /image/secrets/login /image/secrets/service /image/secrets/mail \
        /image/secrets/redis /image/secrets/proxy /image/secrets/alerts

# no shell, no packages: the C library, certificates of authorities, and a user that is nobody
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/usr/local/bin/portcullis /usr/local/bin/portcullis
# volumes that are mounted there begin as copies of these, with their owner
COPY --from=build --chown=65532:65532 /image/data /data
COPY --from=build --chown=65532:65532 /image/secrets /secrets
USER 65532:65532
WORKDIR /data
EXPOSE 8443 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/portcullis", "health"]
ENTRYPOINT ["/usr/local/bin/portcullis"]
