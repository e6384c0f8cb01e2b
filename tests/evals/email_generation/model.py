"""Lets a model write once for each labelled request, and checks its texts."""

from ai import prompts
from ai.models import ModelAccess
from ai.workflows.email_generation import answers, checks, material, rendering
from ai.workflows.email_generation.state import WrittenEmail
from tests.evals.email_generation.cases import load_cases


async def write_first_attempts(models: ModelAccess) -> dict[str, list[str]]:
    """Return by file the problems of the model's first text for the request; may raise ModelUnavailable."""
    prompt, problems = prompts.load("email_generation", "write"), dict[str, list[str]]()
    for name, full_request in {f"{case.half}/{case.file}": case.request for case in load_cases()}.items():
        request = material.remove_implausible_fields(full_request).request
        data = prompts.fence(material.build_model_input(request))
        answer = await models.ask("email_generation", instructions=prompt.text, data=data, answer=WrittenEmail)
        rendered = rendering.try_render(request, rendering.build_variables(request))
        text = answers.to_candidate(answer.parsed, request.unsubscribe_url)
        problems[name] = checks.find_problems(text, request, rendered)
    return problems
