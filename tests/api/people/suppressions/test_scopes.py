"""Where a suppression counts: in one workspace or in its account, for one domain or for those below it too."""

from typing import Any

import httpx
import pytest

from tests.api.sending_workspace import add_workspace

pytestmark = pytest.mark.anyio

DEFAULTS = {"unsubscribed": "account", "complaint": "account", "hard_bounce": "account", "manual": "workspace"}


class Pair:
    """Two workspaces of one account."""

    def __init__(self, client: httpx.AsyncClient, mine: str, beside: str) -> None:
        self.client = client
        self.mine, self.beside = f"/api/workspaces/{mine}", f"/api/workspaces/{beside}"

    async def suppress(self, status: int = 201, **body: Any) -> dict[str, Any]:
        """Suppress in the first workspace."""
        response = await self.client.post(f"{self.mine}/suppressions", json=body)
        assert response.status_code == status, response.text
        suppression: dict[str, Any] = response.json()
        return suppression

    async def is_suppressed(self, path: str, email: str) -> bool:
        """Return what a workspace says about a lead with this address."""
        response = await self.client.post(f"{path}/leads", json={"email": email})
        if response.status_code == 409:
            listed = (await self.client.get(f"{path}/leads", params={"limit": "200"})).json()["items"]
            lead_id = next(lead["id"] for lead in listed if lead["email"] == email)
        else:
            lead_id = response.json()["id"]
        suppressed: bool = (await self.client.get(f"{path}/leads/{lead_id}")).json()["suppressed"]
        return suppressed

    async def both(self, email: str) -> tuple[bool, bool]:
        """Return what both workspaces say about an address."""
        return await self.is_suppressed(self.mine, email), await self.is_suppressed(self.beside, email)


@pytest.fixture
async def pair(app_client: httpx.AsyncClient, workspace: str) -> Pair:
    """Make the second workspace."""
    return Pair(app_client, workspace, await add_workspace(app_client))


@pytest.mark.parametrize("reason", DEFAULTS)
async def test_the_reason_decides_where_it_counts(pair: Pair, reason: str) -> None:
    """What the recipient said and a hard bounce count for the account, a user's own entry for the workspace."""
    added = await pair.suppress(email="anna@x.example", reason=reason)
    assert added["scope"] == DEFAULTS[reason]
    assert await pair.both("anna@x.example") == (True, DEFAULTS[reason] == "account")


@pytest.mark.parametrize("scope", ["workspace", "account"])
@pytest.mark.parametrize("body", [{"email": "anna@x.example"}, {"domain": "x.example"}])
async def test_the_caller_decides_where_it_counts(pair: Pair, body: dict[str, Any], scope: str) -> None:
    """With a scope an address or a domain counts there; its workspace and the account are filters of the list."""
    added = await pair.suppress(**body, scope=scope)
    assert added["scope"] == scope
    assert await pair.both("anna@x.example") == (True, scope == "account")
    for path, is_shown in ((pair.mine, True), (pair.beside, scope == "account")):
        for filter_ in ("workspace", "account"):
            found = (await pair.client.get(f"{path}/suppressions", params={"scope": filter_})).json()["items"]
            assert found == ([added] if is_shown and filter_ == scope else [])
        status = (await pair.client.get(f"{path}/suppressions/{added['id']}")).status_code
        assert status == (200 if is_shown else 404)


async def test_both_scopes_stand_beside_each_other(pair: Pair) -> None:
    """An entry of the workspace stays when the account's is removed, from the other workspace, and the reverse."""
    own = await pair.suppress(email="anna@x.example")
    shared = await pair.suppress(email="anna+b@x.example", scope="account")
    for path, suppression, status in (
        (pair.beside, own, 404),
        (pair.beside, shared, 204),
        (pair.mine, shared, 404),
    ):
        url = f"{path}/suppressions/{suppression['id']}"
        assert (await pair.client.delete(url, params={"reason": "a test"})).status_code == status
    assert await pair.both("anna@x.example") == (True, False)
    removals = [(await pair.client.get(f"{path}/suppressions/removals")).json() for path in (pair.mine, pair.beside)]
    assert removals[0] == removals[1]
    assert [removal["scope"] for removal in removals[0]["items"]] == ["account"]


async def test_a_domain_covers_the_domains_below_it(pair: Pair) -> None:
    """With includeSubdomains all domains below are covered, and no domain that only ends alike."""
    assert (await pair.suppress(domain="Acme.example", includeSubdomains=True))["includeSubdomains"] is True
    for domain in ("acme.example", "mail.acme.example", "a.b.c.acme.example", "bücher.acme.example"):
        assert await pair.both(f"anna@{domain}") == (True, False), domain
    for domain in ("notacme.example", "acme.example.org", "other.example"):
        assert await pair.both(f"anna@{domain}") == (False, False), domain


async def test_a_domain_without_it_covers_no_other_domain(pair: Pair) -> None:
    """Without includeSubdomains a domain below is not covered, also beside a domain that includes its own."""
    await pair.suppress(domain="acme.example", scope="account")
    await pair.suppress(domain="other.example", includeSubdomains=True, scope="account")
    assert await pair.both("anna@mail.acme.example") == (False, False)
    assert await pair.both("anna@mail.other.example") == (True, True)


async def test_a_domain_gets_wider_and_never_narrower(pair: Pair) -> None:
    """A second call with includeSubdomains widens the suppression; one without leaves it as it is."""
    first = await pair.suppress(domain="acme.example")
    wider = await pair.suppress(200, domain="acme.example", includeSubdomains=True)
    again = await pair.suppress(200, domain="acme.example")
    assert (first["includeSubdomains"], wider["includeSubdomains"], again) == (False, True, wider)
    assert wider["id"] == first["id"]


async def test_an_address_has_no_subdomains(pair: Pair) -> None:
    """An address with includeSubdomains is refused with a sentence."""
    problem = await pair.suppress(422, email="anna@acme.example", includeSubdomains=True)
    assert "includeSubdomains is for a domain" in str(problem)


async def test_scopes_and_subdomains_survive_an_export(pair: Pair) -> None:
    """A file of another workspace brings each row with its scope and its subdomains; a wrong scope is reported."""
    await pair.suppress(email="anna@x.example", reason="complaint")
    await pair.suppress(email="bob@x.example")
    await pair.suppress(domain="acme.example", includeSubdomains=True)
    file = (await pair.client.get(f"{pair.mine}/suppressions/export")).content
    lines = file.decode().splitlines()
    assert lines[0].endswith(",scope,includeSubdomains")

    broken = "\n".join([*lines, "email,cy@x.example,,manual,test,,somewhere,f", ""])
    response = await pair.client.post(f"{pair.beside}/suppressions/import", files={"file": ("list.csv", broken)})

    taken = response.json()
    assert (taken["added"], taken["already"], taken["invalidCount"]) == (2, 1, 1)
    assert taken["invalid"][0]["message"] == "The scope must be one of workspace, account."
    assert await pair.both("bob@x.example") == (True, True)
    assert await pair.both("anna@mail.acme.example") == (True, True)


@pytest.mark.parametrize("scope", ["workspace", "account"])
async def test_an_import_counts_where_it_says(pair: Pair, scope: str) -> None:
    """All rows of a file without scopes count where the form says, whatever their reason."""
    files = {"file": ("list.csv", "Email,Domain\nanna@x.example,\n,acme.example\n")}
    data = {"reason": "unsubscribed", "scope": scope}
    response = await pair.client.post(f"{pair.mine}/suppressions/import", files=files, data=data)
    assert response.json()["added"] == 2
    for email in ("anna@x.example", "bob@acme.example"):
        assert await pair.both(email) == (True, scope == "account")
