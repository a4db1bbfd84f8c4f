"""The namespace of a folder: names of one component are in one namespace, and a reader of `registry::Snapshot` knows its folder."""

import re

from source_tree import COMMENT_OR_STRING, Finding, SourceTree, blank, line_of

# Prefix of a path (the longest one counts) -> the namespace of what is below it.
NAMESPACES = {
    "common/": "notp",  # words of every component: Result, Bytes, Hash, Mutex
    "common/http/": "notp::http",
    "common/jose/": "notp::jose",
    "common/oauth/": "notp::oauth",
    "common/rego/": "notp::rego",
    "common/tls/": "notp::tls",
    "protocol/delta/": "notp::delta",
    "protocol/feed/": "notp::feed",
    "protocol/model/": "notp::model",
    "protocol/record/": "notp::record",
    "protocol/serve/": "notp::serve",
    "protocol/session/": "notp::session",
    "protocol/transport/": "notp::transport",
    "protocol/trust/": "notp::trust",
    "protocol/wire/": "notp::wire",
    "notp-server/admin_http/": "notp::admin_http",
    "notp-server/app/": "notp::server",
    "notp-server/audit/": "notp::audit",
    "notp-server/audit_tree/": "notp::audit",
    "notp-server/authz/": "notp::authz",
    "notp-server/backup/": "notp::backup",
    "notp-server/enroll/": "notp::enroll",
    "notp-server/fleet/": "notp::fleet",
    "notp-server/lane/": "notp::lane",
    "notp-server/lane_inputs/": "notp::lane_inputs",
    "notp-server/publish/": "notp::publish",
    "notp-server/recovery/": "notp::recovery",
    "notp-server/registry/": "notp::registry",
    "notp-server/service/": "notp::service",
    "notp-server/sources/": "notp::sources",
    "notp-server/trust/": "notp::trust",
    "notp-client/agent/": "notp::agent",
    "notp-client/api/": "notp::api",
    "notp-client/app/": "notp::client",
    "notp-client/decision/": "notp::decision",
    "notp-client/identity/": "notp::identity",
    "notp-client/lane/": "notp::lane",
    "notp-client/opa_log/": "notp::opa_log",
    "notp-client/pdp/": "notp::pdp",
    "notp-client/spool/": "notp::spool",
    "notp-client/store/": "notp::store",
    "notp-client/txn/": "notp::txn",
    "tools/bench/": "notp::bench",
    "tools/notp/": "notp::cli",
    "tools/pki/": "notp::pki",
}
# The limits of every component are in one namespace, beside those of common/limits.hpp.
EVERYWHERE = {"notp::limits"}
PACKAGES = ("common/", "protocol/", "notp-server/", "notp-client/", "tools/")

BLOCK = re.compile(r"^(?:inline )?namespace (\w+(?:::\w+)*) \{", re.MULTILINE)


def namespaces(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.with_suffix(".hpp", ".cpp"):
        if not path.startswith(PACKAGES):
            continue
        text = re.sub(COMMENT_OR_STRING, blank, tree.text(path))
        for match in BLOCK.finditer(text):
            name = match.group(1)
            if not name.startswith("notp") or name in EVERYWHERE:
                continue
            row = max((row for row in NAMESPACES if path.startswith(row)), key=len, default=None)
            if row is None:
                findings.append(Finding(path, line_of(text, match), "its folder has no row in NAMESPACES of namespaces.py; add one"))
            elif not (name + "::").startswith(NAMESPACES[row] + "::"):
                findings.append(Finding(path, line_of(text, match), f"{name}: what is in {row} is in {NAMESPACES[row]}"))
    return findings
