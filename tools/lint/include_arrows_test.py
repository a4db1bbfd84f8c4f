"""Plants one violation of each rule and expects exactly that one to be found."""

import tempfile
import unittest
from pathlib import Path

import include_arrows
from source_tree import SourceTree

REFUSED = [
    # file, what it includes, a word of the reason
    ("common/crypto/digest.cpp", '"protocol/model/paths.hpp"', "rests on common"),
    ("protocol/model/tree.cpp", '"protocol/trust/envelope.hpp"', "no signature"),
    ("protocol/session/client_session.cpp", '"protocol/transport/pump.hpp"', "socket"),
    ("protocol/transport/pump.cpp", '"notp-server/service/listener.hpp"', "any session"),
    ("notp-server/service/host.cpp", '"notp-client/store/store.hpp"', "interfaces"),
    ("notp-client/agent/host/agent_host.cpp", '"notp-server/registry/registry.hpp"', "interfaces"),
    ("notp-client/app/main.cpp", '"notp-server/registry/registry.hpp"', "the app reads"),
    ("notp-client/agent/core/agent_core.cpp", '"notp-client/agent/host/agent_host.hpp"', "effects"),
    ("notp-client/agent/core/agent_core.cpp", '"notp-client/pdp/pdp.hpp"', "effects"),
    ("notp-server/fleet/fleet.cpp", '"notp-server/publish/pending_store.hpp"', "no other store"),
    ("protocol/session/client/client_session.hpp", "<boost/asio.hpp>", "socket"),
    ("protocol/session/client/client_session.hpp", "<boost/asio/io_context.hpp>", "socket"),
    ("protocol/trust/verify.cpp", "<openssl/ssl.h>", "socket"),
    ("protocol/delta/codec.cpp", "<thread>", "thread"),
    ("protocol/wire/frame.hpp", "<mutex>", "lock"),
    ("protocol/trust/freshness.cpp", "<chrono>", "time is an argument"),
    ("protocol/trust/freshness.cpp", "<sys/time.h>", "time is an argument"),
    ("notp-client/agent/core/backoff.cpp", "<random>", "randomness"),
    ("notp-client/agent/core/agent_core.cpp", "<SQLiteCpp/SQLiteCpp.h>", "database"),
    ("protocol/model/tree.cpp", "<fstream>", "file"),
    ("protocol/session/flow.cpp", '"schemas/notp.pb.h"', "socket"),
    ("notp-server/service/host.cpp", '"schemas/notp.pb.h"', "interfaces"),
    ("notp-client/pdp/feed.cpp", "<google/protobuf/message.h>", "one codec"),
    ("notp-server/service/host.cpp", "<git2.h>", "one component"),
    ("notp-server/registry/snapshot.cpp", "<git2.h>", "one component"),
    ("notp-client/pdp/feed.cpp", "<sqlite3.h>", "one connection"),
    ("notp-client/pdp/feed.cpp", "<openssl/ssl.h>", "TLS"),
    ("notp-server/service/host.cpp", '"notp-server/registry/git_registry.hpp"', "wires"),
    ("notp-client/agent/host/agent_host.cpp", '"notp-client/store/sqlite_store.hpp"', "wires"),
    ("notp-server/service/host.cpp", '"notp-server/app/app.hpp"', "interfaces"),
    ("protocol/gossip/rumour.cpp", "<string>", "no row"),
    ("protocol/rumour.cpp", '"common/bytes.hpp"', "no row"),
    ("common/crypto/digest.cpp", '"digest.hpp"', "repository root"),
]

ALLOWED = [
    ("common/storage/sqlite_file.cpp", "<sqlite3.h>"),
    ("protocol/wire/codec.cpp", '"schemas/notp.pb.h"'),
    ("protocol/trust/statements.cpp", "<google/protobuf/io/coded_stream.h>"),
    ("protocol/session/client_session.cpp", '"protocol/wire/frame.hpp"'),
    ("protocol/session/client_session.cpp", "<openssl/sha.h>"),
    ("protocol/session/client_session.cpp", '"common/clock.hpp"'),
    ("notp-client/agent/core/backoff.cpp", '"common/random.hpp"'),
    ("protocol/transport/pump.cpp", '"protocol/session/client_session.hpp"'),
    ("protocol/transport/pump.cpp", "<boost/asio.hpp>"),
    ("notp-server/registry/git_registry.cpp", "<git2.h>"),
    ("notp-server/registry/git_registry.cpp", '"notp-server/registry/git_pack.hpp"'),
    ("notp-server/app/app.cpp", '"notp-server/registry/git_registry.hpp"'),
    ("notp-server/service/host.cpp", '"notp-server/registry/registry.hpp"'),
    ("notp-client/store/sqlite_store.cpp", '"common/storage/sqlite.hpp"'),
    ("notp-client/agent/core/agent_core.cpp", '"notp-client/store/store.hpp"'),
    ("notp-client/agent/host/agent_host.cpp", "<thread>"),
    ("notp-client/agent/host/agent_host.cpp", '"notp-client/agent/core/agent_core.hpp"'),
    ("tests/unit/test_store.cpp", "<sqlite3.h>"),
    ("tools/bench/wire.cpp", '"notp-server/registry/git_registry.hpp"'),
]


class IncludeArrows(unittest.TestCase):
    def findings(self, path: str, text: str) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(text)
            return [str(f) for f in include_arrows.check(SourceTree.walked(root))]

    def test_every_planted_violation_is_found_once(self):
        for path, included, reason in REFUSED:
            with self.subTest(path=path, included=included):
                found = self.findings(path, f"#pragma once\n#include {included}\n")
                self.assertEqual(len(found), 1, found)
                self.assertIn(reason, found[0])

    def test_what_the_graph_allows_passes(self):
        for path, included in ALLOWED:
            with self.subTest(path=path, included=included):
                self.assertEqual(self.findings(path, f"#include {included}\n"), [])

    def test_a_header_without_pragma_once_is_found(self):
        self.assertIn("#pragma once", self.findings("common/bytes.hpp", "#include <string>\n")[0])

    def test_a_core_that_reads_the_clock_is_found_and_a_comment_about_it_is_not(self):
        self.assertIn("read_clock", self.findings("protocol/trust/verify.cpp", "auto now = read_clock();\n")[0])
        self.assertEqual(self.findings("protocol/trust/verify.cpp", "// never read_clock() here\n"), [])
        self.assertEqual(self.findings("protocol/transport/pump.cpp", "auto now = read_clock();\n"), [])

    def test_the_line_is_named(self):
        found = self.findings("protocol/delta/codec.cpp", "// one\n\n  #  include <thread>\n")
        self.assertTrue(found[0].startswith("protocol/delta/codec.cpp:3:"), found)

    def test_every_row_is_about_files(self):
        paths = SourceTree.tracked(Path(__file__).resolve().parents[2]).paths
        rows = [row for row in include_arrows.RULES if not any(path.startswith(row) for path in paths)]
        self.assertEqual(rows, [])


if __name__ == "__main__":
    unittest.main()
