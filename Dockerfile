# Images of the box and of the district:
#
#   docker build --target box -t gatehouse-box .
#   docker build --target district -t gatehouse-district .
#   docker run --device /dev/ttyUSB0 -v ./box.yaml:/etc/gatehouse/box.yaml:ro \
#     -v gatehouse-box:/var/lib/gatehouse gatehouse-box
#   docker run -p 8443:8443 -v gatehouse-district:/var/lib/gatehouse gatehouse-district
#
# Behind a proxy that opens TLS, give its certificates to the build:
#
#   docker build --secret id=ca,src=proxy.crt --build-arg CA_FILE=/run/secrets/ca …
#
# tests/docker builds both and runs them. Deno and every package come from npm by deno.lock.

FROM debian:12-slim AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates curl \
  && rm -rf /var/lib/apt/lists/*
ARG CA_FILE=/etc/ssl/certs/ca-certificates.crt
ENV CURL_CA_BUNDLE=$CA_FILE DENO_CERT=$CA_FILE
WORKDIR /src
# Dependencies before sources, so that a change of sources keeps this layer.
COPY gatehouse deno.json deno.lock ./
COPY web/deno.json web/
RUN --mount=type=secret,id=ca ./gatehouse version
COPY . .

FROM build AS box-files
RUN --mount=type=secret,id=ca \
  .gatehouse/bin/deno run --allow-all tools/production.ts runtime/main.ts /out

FROM build AS district-files
RUN .gatehouse/bin/deno task web:build
RUN --mount=type=secret,id=ca \
  .gatehouse/bin/deno run --allow-all tools/production.ts district/main.ts /out \
  && mkdir -p /out/web && cp -r web/dist /out/web/dist

FROM debian:12-slim AS program
# dialout: serial lines. A GPIO chip needs the host's group: docker run --group-add.
RUN useradd --system --uid 900 --groups dialout --home-dir /var/lib/gatehouse --create-home gatehouse
COPY --from=build /src/.gatehouse/bin/deno /opt/gatehouse/.gatehouse/bin/deno
# Modules are transpiled once, here; the programs find them and write nothing outside their data.
ENV DENO_DIR=/opt/gatehouse/.gatehouse/cache
WORKDIR /opt/gatehouse
VOLUME /var/lib/gatehouse

FROM program AS district
COPY --from=district-files /out ./
RUN .gatehouse/bin/deno cache --quiet district/main.ts
USER gatehouse
EXPOSE 8443
ENTRYPOINT ["/opt/gatehouse/gatehouse"]
CMD ["district", "--listen", "0.0.0.0:8443"]

FROM program AS box
COPY --from=box-files /out ./
RUN .gatehouse/bin/deno cache --quiet runtime/main.ts
USER gatehouse
ENTRYPOINT ["/opt/gatehouse/gatehouse"]
CMD ["box", "--config", "/etc/gatehouse/box.yaml"]
