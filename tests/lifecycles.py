"""Each lifecycle as a full table, written by hand from docs/lifecycles.md.

A row for each state, a column for each event.
"""

REFUSED = "-"
"""What stands in a cell where the event is illegal in the state."""

LEAD = """
              email_sent  reply_received  qualified  unsubscribed
New           Contacted   -               -          Unsubscribed
Contacted     -           Replied         -          Unsubscribed
Replied       -           -               Qualified  Unsubscribed
Qualified     -           -               -          Unsubscribed
Unsubscribed  -           -               -          -
"""

ENROLLMENT = """
              paused  hard_bounced  out_of_office  reply_received  all_steps_done  unsubscribed  resumed  stopped
active        paused  paused        paused         replied         completed       unsubscribed  -        completed
paused        -       -             -              replied         -               unsubscribed  active   completed
replied       -       -             -              -               -               unsubscribed  active   completed
completed     -       -             -              -               -               -             -        -
unsubscribed  -       -             -              -               -               -             -        -
"""

SEQUENCE = """
        activated  paused
Draft   Active     -
Active  -          Paused
Paused  Active     -
"""

DRAFT_BEFORE_IT_IS_SENT = """
          written  written_and_approved  writing_failed  approved  rejected  regenerated  cancelled  corrected
pending   drafted  reviewed              failed          -         -         -            failed     -
drafted   -        -                     -               reviewed  failed    pending      failed     -
reviewed  -        -                     -               -         failed    pending      failed     -
failed    -        -                     -               -         -         pending      -          drafted
sent      -        -                     -               -         -         -            -          -
"""

DRAFT_ON_ITS_WAY = """
          blocked    send_refused  sent
pending   -          -             -
drafted   -          -             -
reviewed  failed     failed        sent
failed    -          -             sent
sent      -          -             -
"""

IMPORT = """
            mapping_changed  commit_started  commit_done  commit_failed  undo_started  undo_done
mapped      mapped           committing      -            -              -             -
committing  -                -               committed    failed         -             -
committed   -                -               -            -              undoing       -
failed      -                committing      -            -              undoing       -
undoing     -                -               -            -              -             undone
undone      mapped           committing      -            -              -             -
"""

JOB = """
           cancelled  retried
pending    cancelled  -
running    -          -
completed  -          -
failed     -          pending
cancelled  -          pending
"""


def results_of(*tables: str) -> dict[tuple[str, str], str]:
    """Return what tables say of each (state, event): the state that it leads to, or REFUSED."""
    results = {}
    for table in tables:
        header, *rows = table.strip().splitlines()
        for row in rows:
            state, *cells = row.split()
            results.update({(state, event): cell for event, cell in zip(header.split(), cells, strict=True)})
    return results
