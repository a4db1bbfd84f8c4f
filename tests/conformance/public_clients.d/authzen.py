"""Two AuthZEN clients ask the agent that the first argument names; ends with 1 when one is not answered rightly."""

import asyncio
import json
import sys
import urllib.request

import decern
from apparitor.client import AuthZENClient
from apparitor.config import ScannerConfig
from apparitor.models import (Action, BatchEvaluationRequest, EvaluationItem, EvaluationRequest, EvaluationSemantic,
                              EvaluationsOptions, Resource, Subject)

URL = sys.argv[1]


def check(what, is_right):
    if not is_right:
        sys.exit(f"{what}: not what the specification says")


def by_decern():
    client = decern.Client(URL, timeout=30)
    allowed = client.evaluate({"type": "user", "id": "u-1"}, "read", {"type": "todo", "id": "1"}, {"ip": "192.0.2.1"})
    check("decern, allowed", allowed.allowed and allowed.reasons == ["listed"])
    check("decern, denied", not client.evaluate({"type": "user", "id": "u-9"}, "read", {"type": "todo", "id": "1"}).allowed)
    try:
        client.evaluate({"type": "user"}, "read", {"type": "todo", "id": "1"})
        check("decern, a subject without id", False)
    except decern.DecernError as error:
        check("decern, a subject without id", error.status_code == 400)


async def by_apparitor():
    config = ScannerConfig(pdp_url=URL, allow_insecure_pdp=True, request_budget_s=30, read_timeout_s=30)
    action, todo = Action(name="read"), Resource(type="todo", id="1")
    people = [Subject(type="user", id=name) for name in ("u-1", "u-9", "u-1")]
    async with AuthZENClient(config) as client:
        one = await client.evaluate(EvaluationRequest(subject=people[0], action=action, resource=todo))
        check("apparitor, one", one.decision and one.context == {"reasons": ["listed"]})
        for semantic, decisions in ((EvaluationSemantic.EXECUTE_ALL, [True, False, True]),
                                    (EvaluationSemantic.DENY_ON_FIRST_DENY, [True, False]),
                                    (EvaluationSemantic.PERMIT_ON_FIRST_PERMIT, [True])):
            several = await client.evaluate_batch(BatchEvaluationRequest(
                action=action, resource=todo, evaluations=[EvaluationItem(subject=person) for person in people],
                options=EvaluationsOptions(evaluations_semantic=semantic)))
            check(f"apparitor, {semantic.value}", [answer.decision for answer in several.evaluations] == decisions)


with urllib.request.urlopen(f"{URL}/.well-known/authzen-configuration", timeout=30) as answer:
    METADATA = json.load(answer)
check("metadata", METADATA["policy_decision_point"] == URL
      and METADATA["access_evaluation_endpoint"] == f"{URL}/access/v1/evaluation")
by_decern()
asyncio.run(by_apparitor())
