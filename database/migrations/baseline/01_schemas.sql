-- What every table below needs: the schemas, and the default of the ids.

-- `app` holds our own tables.
CREATE SCHEMA IF NOT EXISTS app;
-- `everlytic` holds what Everlytic tells us, as it tells it.
CREATE SCHEMA IF NOT EXISTS everlytic;
-- `analytics` holds the marts. dbt builds what is in it; migrations only create the schema.
CREATE SCHEMA IF NOT EXISTS analytics;

-- Ids are made by the database so that an INSERT of many rows needs no round trip, and they grow with time so that they
-- order the rows. RFC 9562, version 7: 48 bits of Unix milliseconds, the rest is random. Postgres 18 has a uuidv7() of
-- its own, but Postgres 15 must do as well.
CREATE FUNCTION app.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6),
      52, 1), 53, 1), 'hex')::uuid
$$;
