# Countersign: the server, and kf. docs/operations.md (Containers) says how to run it; test/e2e/image.spec.ts builds and
# runs what is described here, without a container engine.

FROM node:24.21.0-bookworm-slim AS sources
WORKDIR /app
# .npmrc switches install scripts off: no package needs one here, and the runtime is the image's own.
COPY .npmrc package.json package-lock.json ./

FROM sources AS build
RUN npm ci
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY apps ./apps
COPY libs ./libs
RUN npm run build

FROM sources AS dependencies
# Optional: the compiler, a peer of what describes the API, and colours of tables that kf does not use.
RUN npm ci --omit=dev --omit=optional

FROM node:24.21.0-bookworm-slim
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="A webhook service where changes are commanded, approved, recorded and provable" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
# Numbers, so that an orchestrator can see that it is not root.
RUN install --directory --owner=1000 --group=1000 --mode=0700 /data
WORKDIR /app
COPY LICENSE package.json ./
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --chmod=0755 docker/kf /usr/local/bin/kf
# A port that is published reaches every interface of the container; TLS is for what stands before it.
ENV NODE_ENV=production \
    KF_HOST=0.0.0.0 \
    KF_PORT=8080 \
    KF_DATA_DIR=/data
USER 1000:1000
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether the process answers, not whether it is ready: a restart brings no event store back.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.KF_PORT + '/health/live', { signal: AbortSignal.timeout(4000) }).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# As apps/server/node-arguments.json says.
ENTRYPOINT ["node", "--max-semi-space-size=32", "--heap-growing-percent=80", "dist/apps/server/main.js"]
