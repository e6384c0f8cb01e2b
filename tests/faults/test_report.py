"""The scores of planted faults, and the faults that need not be caught."""

import io

from rich.console import Console

from faults.fault import Fault
from faults.report import has_escaped, load_explanations, print_report
from faults.runner import Result, Verdict

VERDICTS = {
    "caught": Verdict.CAUGHT,
    "escaped": Verdict.ESCAPED,
    "not run": Verdict.NOT_RUN,
    "unsound": Verdict.UNSOUND,
    "impossible": Verdict.IMPOSSIBLE,
}


def fault_of(before: str, kind: str = "WHERE term dropped") -> Fault:
    """Return a fault of one area."""
    return Fault(
        area="api/people/leads",
        path="api/people/leads/a.py",
        line=3,
        place="find",
        kind=kind,
        before=before,
        after="true",
    )


def result_of(fault: Fault, verdict: Verdict) -> Result:
    """Return what became of a fault."""
    return Result(fault_id=fault.id, verdict=verdict, tests=1, seconds=0.1, detail="")


def test_what_no_test_caught_has_escaped_unless_it_is_explained() -> None:
    """Escaped, not run and unsound faults count as escaped; a reason for the fault or its kind excuses them."""
    faults = {name: fault_of(name) for name in VERDICTS}
    results = {fault.id: result_of(fault, VERDICTS[name]) for name, fault in faults.items()}
    missed = {name for name, fault in faults.items() if has_escaped(fault, results, {})}
    assert missed == {"escaped", "not run", "unsound"}
    assert not any(has_escaped(fault, results, {"WHERE term dropped": "why"}) for fault in faults.values())
    assert not has_escaped(faults["escaped"], results, {faults["escaped"].id: "why"})
    assert has_escaped(faults["escaped"], results, {faults["unsound"].id: "why", "row lock dropped": "why"})
    assert not has_escaped(fault_of("never planted"), results, {})


def test_scores_leave_out_what_is_explained_or_impossible() -> None:
    """Of 1,004 faults 998 were caught and one escaped: 99 %, not 100; the escaped fault alone is listed."""
    faults = [*(fault_of(f"caught {number}") for number in range(998)), fault_of("name = :name")]
    results = {fault.id: result_of(fault, Verdict.CAUGHT) for fault in faults}
    escaped = faults[-1]
    results[escaped.id] = result_of(escaped, Verdict.ESCAPED)
    for kind, verdict, number in (
        ("tenant term dropped", Verdict.ESCAPED, 4),
        ("row lock dropped", VERDICTS["impossible"], 1),
    ):
        for fault in (fault_of(str(index), kind) for index in range(number)):
            faults.append(fault)
            results[fault.id] = result_of(fault, verdict)
    output = io.StringIO()
    print_report(faults, results, Console(file=output, width=120, no_color=True))
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in output.getvalue().splitlines()]
    assert [row for row in rows if row[0] in {"all", "api/people/leads"}] == [
        ["api/people/leads", "1003", "998", "4", "1", "99%"],
        ["all", "1003", "998", "4", "1", "99%"],
        ["all", "1003", "998", "4", "1", "99%"],
    ]
    assert ["tenant term dropped", "4", "0", "4", "0", ""] in rows
    listed = [line.rstrip() for line in output.getvalue().splitlines() if "api/people/leads/a.py:3" in line]
    assert listed == [f"{escaped.id} api/people/leads/a.py:3 find: WHERE term dropped ({Verdict.ESCAPED})"]
    assert "    name = :name → true" in output.getvalue().splitlines()


def test_each_explanation_gives_a_reason() -> None:
    """Terms of the tenant are explained, and no explanation is empty."""
    assert "tenant term dropped" in load_explanations()
    assert all(reason.strip() for reason in load_explanations().values())
