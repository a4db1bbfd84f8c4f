#!/usr/bin/env python3
"""Checks who may include whom. The tables are the rules, and each row says why.

main, app -> host, service -> {core, interface} -> common. A core decides from (event, now) alone;
that holds only as long as no header brings a socket, a thread, a clock or a store into it.
"""

import re
import sys

from source_tree import Finding, SourceTree, line_of, run

# Prefix of a path (the longest one counts) -> what it may include of ours, and why no more. "" in the list
# stands for everything. The page of generated_pages.py shows this table.
Rules = dict[str, tuple[list[str], str]]
CORES = ["protocol/model/", "protocol/trust/", "protocol/record/", "protocol/delta/", "protocol/feed/", "protocol/wire/", "protocol/session/"]
SERVER_PARTS = [f"notp-server/{part}/" for part in ("registry", "service", "fleet", "audit", "audit_tree", "authz", "enroll", "publish", "recovery", "lane", "sources", "trust")]
# What the supervisor of policy workers decides, and the frames that it exchanges with them.
REGO_CORE = ("engine_core", "path_costs", "suspicion", "turns", "question", "frames", "activation", "check_messages")
REGO_CORE_SEES = [
    *(f"common/{part}." for part in ("assert", "bytes", "clock", "crypto/digest", "json/json", "limits", "result")),
    *(f"common/rego/{part}." for part in ("check", "snapshot")),
    *(f"common/rego/host/{part}" for part in REGO_CORE),
]
# What a lane decides, without sockets, files and threads.
LANE_CORE = ("event_store", "fan_out", "grants", "intake", "intake_rules", "lane_limits", "memory_event_store", "page_cache", "row_counts", "statement_maker")
# What the key sources decide, without sockets and files.
SOURCES_CORE = ("discovery", "document", "issuer_core", "issuer_limits", "key_set", "keys_content")
CLIENT_PARTS = [f"notp-client/{part}/" for part in ("agent", "identity", "lane", "spool", "store", "pdp")]

RULES: Rules = {
    "schemas/": ([], "schemas are data"),
    "common/": (["common/"], "everything rests on common, common on nothing"),
    **{
        f"common/rego/host/{part}": (REGO_CORE_SEES, "which worker does what follows from events and time alone")
        for part in REGO_CORE
    },
    "protocol/model/": (
        ["common/", "schemas/embedded.hpp"],
        "what a valid model is depends on no signature and no wire",
    ),
    "protocol/trust/": (
        ["common/", "protocol/model/", "schemas/"],
        "a statement is checked the same however it arrived",
    ),
    "protocol/record/": (
        ["common/", "protocol/model/", "protocol/trust/", "schemas/"],
        "a record means the same to the node, the registry and the auditor",
    ),
    "protocol/delta/": (
        ["common/", "protocol/model/", "protocol/trust/"],
        "deltas are pure functions of two models",
    ),
    "protocol/feed/": (
        ["common/", "protocol/trust/", "schemas/"],
        "what a lane states is read the same by node, relay and auditor",
    ),
    "protocol/wire/": (
        ["common/", "protocol/model/", "protocol/trust/", "protocol/record/", "protocol/delta/", "protocol/feed/", "schemas/"],
        "the codec knows messages, not conversations",
    ),
    "protocol/session/": (["common/", *CORES], "a conversation never reaches the socket it runs on"),
    "protocol/transport/": (["common/", *CORES], "the pump drives any session, a server's or a client's"),
    "protocol/serve/": (
        ["common/", *CORES, "protocol/transport/"],
        "a server of sessions knows releases and peers through its ports, and no registry",
    ),
    "notp-server/": (["common/", "protocol/", "notp-server/"], "what both sides need is in protocol or common"),
    "notp-server/registry/": (
        ["common/", *CORES],
        "the version store serves; it knows neither sessions' hosts nor other stores",
    ),
    "notp-server/fleet/": (["common/", *CORES], "a store knows no other store"),
    "notp-server/audit/": (["common/", *CORES], "a store knows no other store"),
    "notp-server/audit_tree/": (
        ["common/", *CORES, "notp-server/audit/"],
        "what the tree says is about the audit store; the store writes into it through an interface",
    ),
    "notp-server/trust/": (["common/", *CORES, "notp-server/registry/"], "what is vouched for are the heads of the version store"),
    "notp-server/authz/": (
        ["common/", "protocol/", "notp-server/registry/registry.hpp"],
        "rights follow from identities alone; the deny list is read from a release",
    ),
    "notp-server/backup/": (
        [
            "common/",
            *CORES,
            "notp-server/audit/day_database.hpp",
            "notp-server/audit_tree/tree_file_names.hpp",
            "notp-server/registry/registry.hpp",
            "notp-server/registry/registry_lock.hpp",
            "notp-server/registry/repository_",
            "notp-server/registry/restored_mark.hpp",
            "notp-server/trust/",
        ],
        "what is copied and checked are files; it serves no one and needs no running store",
    ),
    "notp-server/enroll/": (
        ["common/", "protocol/", "notp-server/authz/", "notp-server/registry/registry.hpp"],
        "who is let in is decided apart from what is published",
    ),
    "notp-server/publish/": (
        ["common/", "protocol/", "notp-server/authz/", "notp-server/enroll/", "notp-server/registry/registry.hpp", "notp-server/trust/"],
        "a publish is checked the same whichever session brought it; what waits is a store that knows no other",
    ),
    "notp-server/recovery/": (
        [
            "common/",
            "protocol/",
            "notp-server/publish/rebuilt_content.hpp",
            "notp-server/registry/registry.hpp",
            "notp-server/registry/restored_mark.hpp",
            "notp-server/trust/",
        ],
        "what nodes give back is verified from what is signed; who is served is decided elsewhere",
    ),
    "notp-server/sources/": (
        ["common/", "protocol/", "notp-server/publish/publish_pipeline.hpp", "notp-server/registry/registry.hpp"],
        "keys that were fetched are published as a person's release is; the core knows no socket",
    ),
    **{
        f"notp-server/sources/{part}": (
            ["common/", *CORES, *(f"notp-server/sources/{core}" for core in SOURCES_CORE)],
            "what is accepted, fetched and published follows from documents, events and time alone",
        )
        for part in SOURCES_CORE
    },
    "notp-server/lane/": (
        ["common/", "protocol/"],
        "a lane takes events and feeds sessions; its inputs know it, it knows none of them",
    ),
    "notp-server/lane_inputs/": (
        ["common/", "protocol/", "notp-server/lane/intake.hpp", "notp-server/lane/lane_limits.hpp", "notp-server/registry/registry.hpp", "notp-server/sources/"],
        "what sources send is checked and turned into events of a lane; what the lane does with them is decided there",
    ),
    **{
        f"notp-server/lane/{part}": (
            ["common/", *CORES, "protocol/serve/lane_feed.hpp", *(f"notp-server/lane/{core}." for core in LANE_CORE)],
            "what is kept, and who gets what of it, follows from events and time alone",
        )
        for part in LANE_CORE
    },
    "notp-server/admin_http/": (
        ["common/", "protocol/trust/", "notp-server/registry/registry.hpp", "notp-server/trust/"],
        "an operator reads health and metrics here; other components add their own routes",
    ),
    "notp-server/service/": (
        ["common/", "protocol/", *SERVER_PARTS],
        "the service sees interfaces; only the app names what is behind them",
    ),
    "notp-client/": (["common/", "protocol/", "notp-client/"], "what both sides need is in protocol or common"),
    "notp-client/agent/": (
        ["common/", "protocol/", *CLIENT_PARTS],
        "the host sees interfaces; only the app names what is behind them",
    ),
    "notp-client/agent/core/": (
        ["common/", *CORES, "notp-client/store/store.hpp"],
        "the core yields effects; its host runs them on stores and PDPs",
    ),
    "notp-client/agent/core/agent_trust": (
        ["common/", *CORES, "notp-client/agent/core/agent_trust", "notp-client/store/store.hpp"],
        "what is trusted follows from statements and time alone",
    ),
    "notp-client/agent/core/backoff": (["common/", "notp-client/agent/core/backoff"], "a pure function of attempt and chance"),
    "notp-client/store/": (["common/", *CORES], "a store knows no other store"),
    "notp-client/lane/": (
        ["common/", "protocol/", "notp-client/lane/", "notp-client/pdp/token_sink.hpp"],
        "a lane feeds whatever decides; it knows neither the agent nor a PDP",
    ),
    "notp-client/lane/core/": (
        ["common/", *CORES, "notp-client/lane/lane_limits.hpp", "notp-client/lane/core/"],
        "what a node believes of its lane follows from statements and time alone",
    ),
    "notp-client/spool/": (["common/", *CORES], "a spool keeps records; it knows neither who decides nor who ships them"),
    "notp-client/lane/table/": (["common/", "protocol/feed/"], "a table holds what it is given; it knows no session, no store and no PDP"),
    "notp-client/pdp/": (
        ["common/", "protocol/", "notp-client/lane/table/"],
        "a PDP is fed; it fetches nothing from stores itself",
    ),
    "notp-client/decision/": (
        ["common/", "protocol/", "notp-client/pdp/pdp.hpp", "notp-client/spool/decision_log.hpp", "notp-client/txn/verify/"],
        "every question takes one way, whichever PDP answers",
    ),
    "notp-client/opa_log/": (
        [
            "common/",
            "protocol/",
            "notp-client/decision/jws_signatures.hpp",
            "notp-client/decision/log_mask.hpp",
            "notp-client/decision/mask_rules.hpp",
            "notp-client/decision/recorded_sets.hpp",
            "notp-client/pdp/mask_module.hpp",
            "notp-client/pdp/pdp.hpp",
            "notp-client/spool/decision_log.hpp",
        ],
        "what OPA logged is recorded as what the agent decided; it knows no route and no wiring",
    ),
    "notp-client/identity/certificate_renewal": (
        ["common/", "notp-client/identity/certificate_renewal"],
        "a pure function of time and chance",
    ),
    "notp-client/identity/": (
        ["common/", "protocol/", "notp-client/identity/"],
        "a node's certificates depend on no store and no PDP",
    ),
    "notp-client/txn/": (
        ["common/", "protocol/", "notp-client/txn/"],
        "what is issued follows from requests, answers of a policy and time; who decides and what is followed are the app's",
    ),
    "notp-client/txn/issue/": (
        ["common/", *CORES, "notp-client/txn/txn_limits.hpp"],
        "what is issued follows from a request, a policy's answer and time alone",
    ),
    "notp-client/txn/grants/": (
        ["common/", *CORES, "notp-client/txn/txn_limits.hpp", "notp-client/txn/issue/"],
        "a store of grants marks what the core decides; it knows no route",
    ),
    "notp-client/txn/verify/": (
        ["common/", "protocol/model/decision_terms.hpp", "notp-client/txn/verify/"],
        "what a token is follows from its text, keys and time alone",
    ),
    "notp-client/txn/keys/": (
        ["common/", *CORES, "notp-client/txn/txn_limits.hpp", "protocol/wire/"],
        "a key's life follows from releases, what nodes acknowledge and time; files and a clock are its shell's",
    ),
    "notp-client/txn/http/": (
        [
            "common/",
            "protocol/",
            "notp-client/txn/",
            "notp-client/api/access.hpp",
            "notp-client/api/asked_decision.hpp",
            "notp-client/decision/",
            "notp-client/pdp/pdp.hpp",
        ],
        "routes put the parts of one request together; a PDP is asked as for any decision",
    ),
    "notp-client/api/": (
        ["common/", "protocol/", "notp-client/pdp/pdp.hpp", "notp-client/decision/"],
        "routes know questions and decisions, not who decides",
    ),
    "notp-client/app/": (["common/", "protocol/", "schemas/embedded.hpp", "notp-client/"], "the app reads the configuration"),
    "notp-server/app/": (["common/", "protocol/", "schemas/embedded.hpp", "notp-server/"], "the app reads the configuration"),
    "tools/": ([""], "tools drive all the parts"),
    "tests/": ([""], "tests drive all the parts"),
}

PURE_CORES = [*CORES, *(f"common/rego/host/{part}" for part in REGO_CORE), "notp-client/agent/core/", "notp-client/lane/core/", "notp-client/txn/issue/", "notp-client/txn/keys/ring_", "notp-client/txn/keys/documents", "notp-client/identity/certificate_renewal"]

# What no core may include, and why.
FORBIDDEN_IN_CORES: list[tuple[str, str]] = [
    (r"boost/(asio|beast)(/|\.hpp$)", "a core never opens a socket"),
    (r"common/(asio|http)/", "a core never opens a socket"),
    (r"common/mutex\.hpp$", "a core runs on its caller's thread"),
    (r"openssl/(ssl|bio)\.h$", "a core never opens a socket"),
    (r"sys/(socket|un|epoll|eventfd|timerfd)\.h$|netinet/|arpa/", "a core never opens a socket"),
    (r"SQLiteCpp/|sqlite3\.h$|common/storage/sqlite", "a core never opens a database"),
    (r"git2(/|\.h$)", "a core never opens a repository"),
    (r"(fstream|filesystem|unistd\.h|fcntl\.h|sys/stat\.h|sys/mman\.h)$", "a core never opens a file"),
    (r"(iostream|cstdio|stdio\.h)$", "a core yields bytes, it never prints"),
    (r"(thread|stop_token|future|pthread\.h)$", "a core runs on its caller's thread"),
    (r"(mutex|shared_mutex|condition_variable|semaphore|latch|barrier)$", "a session takes no lock"),
    (r"(chrono|ctime|time\.h|sys/time\.h)$", "time is an argument (Now)"),
    (r"(random|openssl/rand\.h)$", "randomness is an argument (Random)"),
    (r"spdlog/|common/log", "a core returns what happened; its shell logs"),
]

# Names of ours that a core may not use, though their headers hold what it does use.
FORBIDDEN_NAMES_IN_CORES: list[tuple[str, str]] = [
    ("read_clock", "time is an argument (Now)"),
    ("SystemRandom", "randomness is an argument (Random)"),
]

# Headers that only some folders may include: pattern, where, why. tests/ may include anything.
CONFINED: list[tuple[str, list[str], str]] = [
    (
        r".*\.pb\.h$|google/protobuf/",
        ["protocol/feed/", "protocol/wire/", "protocol/trust/", "protocol/record/"],
        "one codec parses untrusted bytes, under one set of limits",
    ),
    (r"git2(/|\.h$)", ["notp-server/registry/git_"], "libgit2's traps are met in one component"),
    (
        r"SQLiteCpp/|sqlite3\.h$|common/storage/sqlite",
        ["common/storage/sqlite", "notp-client/store/", "notp-client/lane/store/", "notp-client/txn/grants/", "notp-client/spool/", "notp-client/opa_log/", "notp-server/fleet/", "notp-server/audit/", "notp-server/audit_tree/tree_database", "notp-server/backup/database_", "notp-server/enroll/join_tokens", "notp-server/lane/sqlite_"],
        "one connection for each file, owned by the store whose file it is",
    ),
    (
        r"openssl/ssl\.h$",
        ["common/", "protocol/transport/", "tools/"],
        "one component decides what TLS accepts",
    ),
    (
        r"notp-server/\w+/(git|sqlite|memory)_\w+\.hpp$",
        ["notp-server/app/", "tools/"],
        "one app wires concrete types together; nothing else names them",
    ),
    (
        r"notp-client/\w+/(sqlite|memory|opa|embedded|folder)_\w+\.hpp$",
        ["notp-client/app/", "tools/"],
        "one app wires concrete types together; nothing else names them",
    ),
    (
        r"notp-(server|client)/(app|main)\w*\.hpp$",
        ["notp-server/app/", "notp-client/app/"],
        "nothing depends on the wiring",
    ),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r"//.*")
TOP_LEVEL = ("common/", "protocol/", "notp-server/", "notp-client/", "schemas/", "tests/", "tools/")
PACKAGES = ("protocol/", "notp-server/", "notp-client/")


def row_of(path: str) -> str:
    return max((row for row in RULES if path.startswith(row)), key=len, default="")


def has_own_row(path: str) -> bool:
    """A new folder of protocol, server or client needs a row: its place in the graph is a decision."""
    package, _, rest = path.partition("/")
    if package + "/" not in PACKAGES or "/" not in rest:
        return True
    return f"{package}/{rest.split('/')[0]}/" in RULES


def starts_with_any(path: str, prefixes: list[str]) -> bool:
    return any(path.startswith(prefix) for prefix in prefixes)


def why_not(path: str, included: str) -> str | None:
    """The reason why path may not include that header, or None."""
    folder = path.rpartition("/")[0] + "/"
    if included.startswith(TOP_LEVEL):
        row = row_of(path)
        allowed, reason = RULES.get(row, ([], "no row of RULES is about its folder"))
        if not starts_with_any(included, allowed) and not (row.endswith("/") and included.startswith(row)):
            return reason
    if starts_with_any(path, PURE_CORES):
        for pattern, reason in FORBIDDEN_IN_CORES:
            if re.match(pattern, included):
                return reason
    if path.startswith("tests/"):
        return None
    for pattern, places, reason in CONFINED:
        is_beside = included.startswith(folder) and included.startswith(TOP_LEVEL)
        if re.match(pattern, included) and not starts_with_any(path, places) and not is_beside:
            return reason
    return None


def forbidden_names(path: str, text: str) -> list[Finding]:
    if not starts_with_any(path, PURE_CORES):
        return []
    code = COMMENT.sub("", text)
    return [
        Finding(path, 0, f"a core may not use {name}: {reason}")
        for name, reason in FORBIDDEN_NAMES_IN_CORES
        if re.search(rf"\b{name}\b", code)
    ]


def check(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.with_suffix(".hpp", ".cpp", ".h", ".cc"):
        text = tree.text(path)
        if not has_own_row(path):
            findings.append(Finding(path, 0, "its folder has no row in RULES of include_arrows.py; add one, with its reason"))
        if path.endswith((".hpp", ".h")) and "#pragma once" not in text:
            findings.append(Finding(path, 1, "a header begins with #pragma once"))
        findings += forbidden_names(path, text)
        for match in INCLUDE.finditer(text):
            bracket, included = match.groups()
            line = line_of(text, match)
            if bracket == '"' and not included.startswith(TOP_LEVEL):
                findings.append(Finding(path, line, f'"{included}": quotes hold a path from the repository root; others take <>'))
                continue
            reason = why_not(path, included)
            if reason:
                findings.append(Finding(path, line, f"may not include {included}: {reason}"))
    return findings


if __name__ == "__main__":
    sys.exit(run("include_arrows", check))
