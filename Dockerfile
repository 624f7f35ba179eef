# syntax=docker/dockerfile:1
# zring in a container.
#   docker build -t zring .                      nodes with `dir:` storage, as an ordinary user
#   docker build -t zring:zfs --target zfs .     nodes with `zfs:` storage: root, because only root may mount
# The zfs image runs with --privileged, /dev/zfs of the host, and the pool's mountpoint shared both ways, or the host
# and the other containers see empty folders: -v /tank:/tank:rshared

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Not `npm ci`: it refuses a lock file without the optional packages of other platforms. Versions are the locked ones.
RUN npm install --no-save --include=dev
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20-bookworm-slim AS base
ENV NODE_ENV=production
# Every flush of a store holds a thread of Node's pool, which has 4 unless told otherwise.
ENV UV_THREADPOOL_SIZE=32
WORKDIR /opt/zring
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE* README.md ./
COPY config ./config
COPY docs ./docs
RUN chmod 0755 dist/main.js && ln -s /opt/zring/dist/main.js /usr/local/bin/zring \
 && install -d -m 0750 -o node -g node /var/lib/zring
VOLUME /var/lib/zring
# S3, peers, admin: the ports that the listeners of the configuration bind.
EXPOSE 9000 9001 9002
ENV ZRING_ADMIN_PORT=9002
# Ready, not merely alive: a node that starts or stops wants no requests. The admin listener must be bound on loopback too
# (listen: { admin: 0.0.0.0:9002 }).
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ZRING_ADMIN_PORT}/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# zring is process 1 itself: it handles SIGTERM and SIGINT (the kernel gives process 1 no default for them) and waits for
# every process that it starts, so no init is needed in between. A stop takes as long as requests in flight do.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/opt/zring/dist/main.js"]
CMD ["serve", "--config", "/etc/zring/zring.yaml"]

FROM base AS zfs
# ZFS's programs are in Debian's contrib; their version should be that of the host's kernel module, or older.
RUN sed -i 's/^Components: main$/Components: main contrib/' /etc/apt/sources.list.d/debian.sources \
 && apt-get update \
 && apt-get install -y --no-install-recommends zfsutils-linux \
 && rm -rf /var/lib/apt/lists/*
USER root

FROM base AS zring
USER node
