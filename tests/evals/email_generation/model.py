"""Has a model write once for each labelled request, and checks what it wrote."""

from ai import prompts
from ai.models import ModelAccess
from ai.workflows.email_generation import answers, checks, material, rendering
from ai.workflows.email_generation.state import WrittenEmail
from tests.evals.email_generation.cases import cases


async def first_attempts(models: ModelAccess) -> dict[str, list[str]]:
    """Return for each request, by its file, the problems of the model's first text; may raise ModelUnavailable."""
    prompt, found = prompts.load("email_generation", "write"), dict[str, list[str]]()
    for name, asked in {f"{case.half}/{case.file}": case.request for case in cases()}.items():
        request = material.believed(asked).request
        data = prompts.fence(material.shown(request))
        answer = await models.ask("email_generation", instructions=prompt.text, data=data, answer=WrittenEmail)
        rendered = rendering.rendered(request, rendering.variables_of(request))
        text = answers.written(answer.parsed, request.unsubscribe_url)
        found[name] = checks.problems_of(text, request, rendered)
    return found
