ALTER TABLE app.email_events
  -- What a bounce is about; null for other events.
  ADD COLUMN bounce_kind text,
  -- The provider's time, where it is impossible and occurred_at is the nearest possible time.
  ADD COLUMN reported_at timestamptz,
  ADD CONSTRAINT ck_email_events_bounce_kind
    CHECK (bounce_kind IN ('address', 'mailbox_full', 'policy', 'authentication', 'content', 'unknown'));
ALTER TABLE everlytic.callback_events
  ADD COLUMN bounce_kind text,
  ADD CONSTRAINT ck_callback_events_bounce_kind
    CHECK (bounce_kind IN ('address', 'mailbox_full', 'policy', 'authentication', 'content', 'unknown'));

-- Stored bounces keep the class that they have been counted by.
UPDATE app.email_events
   SET bounce_kind = CASE WHEN data ->> 'bounce_type' = 'soft' THEN 'unknown' ELSE 'address' END
 WHERE type = 'bounced';
UPDATE everlytic.callback_events
   SET bounce_kind = CASE WHEN raw ->> 'bounce_type' = 'soft' THEN 'unknown' ELSE 'address' END
 WHERE type IN ('bounce', 'failed');
