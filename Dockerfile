# base images by their digest: what a tag points to changes; Dependabot proposes the next
FROM rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
# the repository pins what it builds with by Cargo.lock; the compiler's packages follow the distribution
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
# puts the list of crates into the binary: a scanner of images reads there what it is made of
RUN cargo install cargo-auditable --version 0.7.7 --locked
WORKDIR /source
# a layer of its own for the dependencies: it is made anew when they change, not when the source does
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo auditable build --release --locked \
    && rm -r src
COPY .sqlx .sqlx
COPY migrations migrations
COPY policies policies
COPY src src
# cargo goes by times: the source must look newer than what was built in its place. Then: the list of crates is in it.
# less of what the whole-program optimisation copies into its callers and, where the compiler links with its own lld, equal functions once and
# relocations packed: 2 MB less
RUN touch src/main.rs src/lib.rs \
    && case "$(uname -m)" in x86_64) set -- -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs ;; *) set -- ;; esac \
    && cargo auditable rustc --release --locked --bin portcullis -- -C llvm-args=-inline-threshold=100 "$@" \
    && objdump --section-headers --section .dep-v0 target/release/portcullis \
    && install -D target/release/portcullis /image/usr/local/bin/portcullis \
    && install -d /image/data /image/secrets/owner /image/secrets/login /image/secrets/service /image/secrets/mail \
        /image/secrets/redis /image/secrets/proxy /image/secrets/alerts

# no shell, no packages: the C library, certificates of authorities, and a user that is nobody
FROM gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f
COPY --from=build /image/usr/local/bin/portcullis /usr/local/bin/portcullis
# volumes that are mounted there begin as copies of these, with their owner
COPY --from=build --chown=65532:65532 /image/data /data
COPY --from=build --chown=65532:65532 /image/secrets /secrets
USER 65532:65532
WORKDIR /data
EXPOSE 8443 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/portcullis", "health"]
ENTRYPOINT ["/usr/local/bin/portcullis"]
