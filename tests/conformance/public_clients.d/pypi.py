"""opa-python-client asks the server that the first argument names; a line for each outcome."""

import json
import sys

import requests
from opa_client.opa import OpaClient

host, port = sys.argv[1].removeprefix("http://").split(":")
opa = OpaClient(host=host, port=int(port), retries=0, timeout=30)


def tell(what, work):
    try:
        said = {"result": work()}
    except requests.HTTPError as error:
        said = {"error": "HTTPError", "status": error.response.status_code, "body": error.response.text}
        if error.response.status_code == 501:
            said["left_out"] = True
    except Exception as error:  # pylint: disable=broad-except  # what the client makes of it is what is compared
        said = {"error": type(error).__name__, "said": str(getattr(error, "expression", error))}
    print(json.dumps({"what": what, **said}))


tell("connection", opa.check_connection)
tell("health", opa.check_health)
tell("health of bundles", lambda: opa.check_health(query={"bundles": True, "plugins": True}))
tell("ready", opa.wait_for_ready)
tell("metrics", lambda: "# TYPE" in opa.get_metrics())
tell("data", lambda: opa.get_data("shop/users")["result"])
tell("data, pretty", lambda: opa.get_data("shop/labels", query_params={"pretty": True})["result"])
tell("no data", lambda: opa.get_data("shop/none"))
tell("rule", lambda: opa.query_rule({"user": "u-1"}, "shop", "allow")["result"])
tell("rule, denied", lambda: opa.query_rule({"user": "u-9"}, "shop", "allow")["result"])
tell("rule, with parameters", lambda: sorted(opa.query_rule(
    {"user": "u-1"}, "shop", "granted", query_params={"metrics": True, "explain": "full", "pretty": True})))
tell("rule, a large number", lambda: opa.query_rule({"serial": 604462909807314587353089}, "shop", "echo")["result"])
tell("rule, a conflict", lambda: opa.query_rule({"clash": True}, "shop", "clash"))
tell("policies", lambda: sorted(name.split("/")[-1] for name in opa.get_policies_list()))
tell("no policy", lambda: opa.get_policy("none"))
tell("a policy's text", lambda: opa.get_policy(
    next(name for name in opa.get_policies_list() if name.endswith("policy.rego")))["result"]["raw"])
tell("query", lambda: opa.ad_hoc_query("data.shop.allow", {"user": "u-1"})["result"])
tell("many by a query", lambda: opa.bulk_query_rule([{"user": "u-1"}], "shop", "allow"))
tell("compile", lambda: opa.compile_query("data.shop.allow == true"))
tell("config", lambda: bool(opa.get_config()))
