"""Names that have a standard one: what the code may not call a thing, and what it calls it instead.

CODE is looked for in C++, Go and Protobuf without comments and strings, FILES in the names of files, MESSAGES in strings
alone, and TEXT in all that a person reads or types: strings, comments, pages, scripts, configurations.
"""

import re
from typing import NamedTuple

from source_tree import COMMENT_OR_STRING, Finding, SourceTree, blank, line_of


class Name(NamedTuple):
    pattern: str
    standard: str
    # Where the name means this; elsewhere it is another thing. "": everywhere.
    below: tuple[str, ...] = ("",)


WIRE_SIDES = ("protocol/", "schemas/", "notp-server/", "notp-client/", "tools/notp/", "tests/")
AGENT = ("notp-client/",)

CODE = [
    Name(r"\bDeskAnswer\b", "RequestOutcome"),
    Name(r"\bDesk(?:Parts)?\b|\bdesk_?\b", "RequestHandler"),
    Name(r"\b[Aa]skers?_?\b", "Caller", ("notp-server/", "tests/")),
    Name(r"\bjudge\b", "complete_node_row", ("notp-server/",)),
    Name(r"\bPublishDoor\b|\bpublish_door\w*|\bdoor_?\b", "PublishPipeline"),
    Name(r"\b[Pp]assage\b", "PublishJob"),
    Name(r"\bpass(?=\()", "publish_verified", ("notp-server/publish/",)),
    Name(r"\bexamine\b", "validate_content", ("notp-server/",)),
    Name(r"\bsettle\b", "publish_if_complete", ("notp-server/publish/",)),
    Name(r"\b(?:wire::|message )(?:\w*Query)\b|\bk?(?:History|Nodes|Ledgers|Roots|Pending|Trust)Query\w*", "HistoryRequest and the like", WIRE_SIDES),
    Name(r"\b(?:wire::|message )Answer\b", "Response", WIRE_SIDES),
    Name(r"\bServerIntroduction\b|\bintroduction_?\b", "ServerInfo"),
    Name(r"\bStock(?:Request)?\b|\b(?:take|on)_stock\b|\bTakeStock\b", "ContentScan, scan_content", AGENT + ("tests/",)),
    Name(r"\bBrake\b|\bbrake_?\b", "PriorityGate"),
    Name(r"\bidle_threads?\b", "background_thread"),
    Name(r"\bShorthand\b|\bshorthand_?\b", "SubscriptionTable"),
    Name(r"\bshorten\b", "compact", ("protocol/session/", "tests/")),
    Name(r"\bLane\b|\blanes_", "IoThread (`lane` is the token lane)", ("protocol/serve/io_thread", "protocol/serve/session_server")),
    Name(r"\bStanding\b|\bstanding(?:_\w+)?\b|\b\w+_standing\b", "FreshnessStatus"),
    Name(r"\bOutlook\b|\boutlook\b", "FreshnessForecast"),
    Name(r"\bstruct Word\b|\bwords_\b|\bremember_word\b", "LastStatement", AGENT),
    Name(r"\b\w*[Vv]ouch(?!ed_ms\b)\w*", "attested"),
    Name(r"\bis_news\b", "needs_reactivation"),
    Name(r"\btold\b|\b\w+_told_\b", "last_reported", AGENT),
    Name(r"\bretell\b", "with_metadata"),
    Name(r"\blook_again_(?:ms_)?", "next_check_ms_"),
    Name(r"\bGoal(?:Release)?\b|\bgoal(?:_of)?\b|\bsame_goal\b", "DesiredState, DesiredRelease"),
    Name(r"\battempt_\b", "in_flight_", AGENT),
    Name(r"\b(?:set_|is_)?futile\w*", "failed_", AGENT),
    Name(r"\bisolating_\b", "bisecting_", AGENT),
    Name(r"\bsuspects_\b", "scanning_", AGENT),
    Name(r"\bage\(\)", "refresh_status()", ("notp-client/agent/",)),
    Name(r"\bgive_up\b", "mark_unreadable", ("notp-client/agent/",)),
    Name(r"\b(?:is_)?distrust(?:ed_)?\b", "reject_registry", AGENT),
    Name(r"\bLedgerRun\b", "LedgerState"),
    Name(r"\bArrived\b", "ReceivedArtifact"),
    Name(r"\bStagedMark\b", "StagedTransfer"),
    Name(r"\bComposition(?:Ptr)?\b|\bcomposition(?:_\w+)?\b", "ActiveSet"),
    Name(r"\blay_out\b", "bundle_layout"),
    Name(r"\bstand_ins?\b", "stub_functions"),
    Name(r"\bDenialGuard\b|\bdenial_guard\b", "WithheldRoots"),
    Name(r"\bSessionLink\b", "SessionBase"),
    Name(r"\bIncoming\b", "TransferBuffer", ("protocol/",)),
    Name(r"\bOutbox\b|\boutbox_?\b", "SendQueue"),
    Name(r"\bSwap\b", "InstallRecord", AGENT + ("tests/", "tools/bench/")),
    Name(r"\bload_cold\b", "bulk_load"),
    Name(r"\b(?:drop_)?fresh_file\b", "new_database_file"),
    Name(r"\btidy(?:ing_)?\b|\bcollect\(\)", "collect_garbage", AGENT),
    Name(r"\bCurrent(?=<)", "AtomicShared"),
    Name(r"\bc_owner\b|\bCOwner\b", "c_ptr"),
    Name(r"\bIdentityKeeper\w*", "CertificateRotator"),
    Name(r"\bNodeAuthority\w*", "NodeCa"),
    Name(r"\bJoinThrottle\b", "JoinRateLimiter"),
    Name(r"\bLatestJob\b", "CoalescingJob"),
    Name(r"\blacks\b", "missing_blobs"),
    Name(r"\bwithout\b", "excluded_leaves"),
    Name(r"\bbehind\b", "base_distance"),
    Name(r"\b[Ee]ffort\b", "encoding_tier"),
    Name(r"\bstring agent =", "user_agent", ("schemas/",)),
    Name(r"\bEnrollOrder\b", "EnrollOptions"),
    Name(r"\bStoreOrder\b", "StoreCommandOptions"),
    Name(r"\bProposal\b|\bproposal(?:_\w+)?\b", "ReleaseDraft", ("tools/notp/",)),
    Name(r"\b(?:Root)?Ceremony\b|\bceremony\b", "what it makes: root_signing, …", ("tools/notp/", "tests/")),
    Name(r"\bForeignClient\b", "RawTlsClient"),
    Name(r"\bk?Victim\b|\bvictim\b", "AttackedAgent", ("tests/attack/", "tests/hostile/")),
    Name(r"\bShelf\b|\bshelf_?\b", "ReleaseFixture", ("tests/",)),
]

FILES = [
    Name(r"(?:^|/)(?:test_)?desk\.", "request_handler"),
    Name(r"publish_door", "publish_pipeline"),
    Name(r"/stock\.", "content_scan"),
    Name(r"/brake\.", "priority_gate"),
    Name(r"/idle_thread", "background_thread"),
    Name(r"/shorthand\.", "subscription_table"),
    Name(r"/outbox\.|test_outbox", "send_queue"),
    Name(r"^protocol/wire/shape\.", "structure_check"),
    Name(r"^protocol/wire/check\.", "semantic_check"),
    Name(r"/fresh_file\.", "new_database_file"),
    Name(r"/current\.", "atomic_shared"),
    Name(r"/c_owner\.", "c_ptr"),
    Name(r"/identity_keeper\.", "certificate_rotator"),
    Name(r"/node_authority\.", "node_ca"),
    Name(r"/join_throttle\.", "join_rate_limiter"),
    Name(r"/latest_job\.", "coalescing_job"),
    Name(r"/effort\.", "encoding_tier"),
    Name(r"^tools/notp/proposal", "release_draft"),
    Name(r"^tools/notp/questions\.", "query_session"),
    Name(r"root_ceremony\.", "what it makes: root_signing, …"),
    Name(r"/foreign_client\.", "raw_tls_client"),
    Name(r"/victim\.", "attacked_agent"),
    Name(r"/enrollment_office\.", "enrollment_fixture"),
]

PRODUCT = ("common/", "protocol/", "notp-server/", "notp-client/", "tools/notp/", "schemas/")

TEXT = [
    Name(r"--fresh-s\b", "--stale-after"),
    Name(r"--hard-s\b", "--expire-after"),
    Name(r"--on-hard\b", "--on-expired"),
    # "has room for", "needs the room" are no name of a part.
    Name(
        r"\b(?:a|one|each|every|this|other|second|eight|these|those|which) rooms?\b(?! (?:for|to|left))|\brooms of\b",
        "component, folder",
    ),
    Name(r"stands twice in one mapping", 'duplicate key "x"', PRODUCT),
    Name(r"is no command or option of", "unknown command or option", PRODUCT),
    Name(r"says how it is used", "see 'notp --help'", PRODUCT),
    Name(r"connected and then said nothing in time", "no Hello within N s", PRODUCT),
    Name(r"join token is no good", "the join token is invalid", PRODUCT),
    Name(r"Old is visible", "Staleness is visible"),
    Name(r"decide with it for one minute more", "to stop every node from using it at once"),
]

# In strings of the product, and in its configuration schemas.
MESSAGES = [
    Name(r"\bvouch(?!ed_ms\b|ers\b)\w*", "attest", PRODUCT),
    Name(r"\b(?:nobody|somebody|everybody)\b", "the caller, the peer, the publisher: say which", PRODUCT),
    Name(r"\btold\b", "sent, reported", PRODUCT),
]

# (what was found, where, why it stays). Also: names in the manifest, in data.system.notp, in OPA's API and in documents
# of `-o json` are no identifiers, and stay.
EXCEPTIONS: list[tuple[str, str, str]] = [
    (r"vouched", "notp-client/store/trust_tables.cpp", "the name of a table on nodes' disks"),
    (r"vouched", "tools/notp/node/node_commands.cpp", "a name in documents of -o json"),
    (r"--(?:fresh-s|hard-s|on-hard)", "tools/notp/", "the old spelling is an alias of the option"),
    (r"--(?:fresh-s|hard-s|on-hard)", "tests/unit/test_cli", "the alias is tested"),
    (r"--(?:fresh-s|hard-s|on-hard)", ".github/CHANGELOG.md", "says what the new spelling replaces"),
]

SOURCE = (".cpp", ".hpp", ".go", ".proto")
READ = SOURCE + (".md", ".py", ".sh", ".yaml", ".yml", ".json", ".rego")


def is_exception(found: str, path: str) -> bool:
    return any(re.search(what, found) and path.startswith(where) for what, where, _ in EXCEPTIONS)


def strings_of(path: str, text: str) -> str:
    """The strings alone, each in its line; of a schema all of it."""
    if path.endswith(".json"):
        return text
    out, at = [], 0
    for match in COMMENT_OR_STRING.finditer(text):
        out.append("\n" * text.count("\n", at, match.start()))
        is_comment = match.group().startswith(("//", "/*"))
        out.append(blank(match) if is_comment else match.group())
        at = match.end()
    return "".join(out)


def in_text(names: list[Name], path: str, text: str) -> list[Finding]:
    findings = []
    for name in names:
        if not path.startswith(name.below):
            continue
        for match in re.finditer(name.pattern, text):
            if not is_exception(match.group(), path):
                findings.append(Finding(path, line_of(text, match), f"'{match.group()}': the name is {name.standard}"))
    return findings


def house_words(tree: SourceTree) -> list[Finding]:
    findings = []
    for path in tree.paths:
        if path.startswith(("tools/lint/", "tests/fuzz/corpus/")):
            continue
        for name in FILES:
            if re.search(name.pattern, path):
                findings.append(Finding(path, 0, f"the name of the file is {name.standard}"))
        if path.endswith(READ):
            text = tree.text(path)
            findings += in_text(TEXT, path, text)
            if path.endswith((".cpp", ".hpp", ".go", ".schema.json")) and not path.endswith("_test.go"):
                findings += in_text(MESSAGES, path, strings_of(path, text))
            if path.endswith(SOURCE):
                findings += in_text(CODE, path, COMMENT_OR_STRING.sub(blank, text))
    return findings
