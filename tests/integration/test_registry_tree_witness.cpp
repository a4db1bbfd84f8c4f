// Witnesses of other organisations: the registry asks them over HTTP, and keeps what they cosign.
#include <doctest/doctest.h>

#include <atomic>
#include <mutex>

#include "notp-server/audit_tree/registry_tree.hpp"
#include "protocol/record/tlog_proof.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/registry/tree_site.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tools/notp/witness/witness.hpp"

namespace notp::audit {
namespace {

namespace asio = boost::asio;
using samples::TreeSite;

// The witness program's core behind a server. Which trees it knows is set once there is one.
struct WitnessHost {
  explicit WitnessHost(uint8_t number) : key(PrivateKey::from_seed({number, 40})) {}

  record::NamedKey named() const { return {"witness.example/w1", key.public_key(), true}; }
  WitnessAddress address() const {
    return {fmt::format("http://127.0.0.1:{}/api", host.server->port()), named()};
  }
  void know(const TreeLog& tree) {
    auto opened =
        cli::Witness::open(folder.path(), named().name, PrivateKey::from_pem(key.to_pem()).value(),
                           {{tree.origin(), tree.public_key()}}, [](const std::string&) {});
    REQUIRE_MESSAGE(opened, opened.error().message);
    const std::lock_guard lock(mutex);
    witness = *std::move(opened);
  }
  asio::awaitable<http::Response> answer(const http::Request& request) {
    ++calls;
    http::Response out;
    const std::lock_guard lock(mutex);
    CHECK(request.path == "/api/add-checkpoint");
    if (!witness || is_down) {
      out.status = 503;
      co_return out;
    }
    const cli::WitnessAnswer answered = witness->add_checkpoint(request.body, 1'790'000'000);
    statuses.push_back(answered.status);
    out.status = answered.status;
    out.content_type = answered.content_type;
    out.body = answered.body;
    co_return out;
  }
  std::vector<unsigned> seen() {
    const std::lock_guard lock(mutex);
    return statuses;
  }

  TemporaryFolder folder;
  PrivateKey key;
  std::mutex mutex;
  std::unique_ptr<cli::Witness> witness;
  std::vector<unsigned> statuses;
  std::atomic<bool> is_down = false;
  std::atomic<int> calls = 0;
  HttpHost host{[this](const http::Request& request) { return answer(request); }};
};

struct Site {
  explicit Site(std::vector<WitnessAddress> witnesses)
      : tree_site(folder.path() / "audit"), witnesses_(std::move(witnesses)) {
    restart();
  }
  void restart() {
    tree_site.stop();
    tree_site.start({.witnesses = witnesses_, .witness_retry_ms = 5, .client = {}});
  }
  bool becomes_witnessed() const {
    return wait_until([&] { return tree_site.tree->log().unwitnessed_since_ms() == 0; });
  }
  TemporaryFolder folder;
  TreeSite tree_site;
  std::vector<WitnessAddress> witnesses_;
};

TEST_CASE("a witness cosigns each checkpoint, also after either side was restarted") {
  WitnessHost witness(1);
  Site site({witness.address()});
  witness.know(site.tree_site.tree->log());
  for (int i = 0; i < 4; ++i) {
    site.tree_site.seal();
    REQUIRE(site.becomes_witnessed());
    const SealedCheckpoint newest = site.tree_site.tree->log().newest();
    CHECK(newest.cosignatures == 1);
    CHECK(record::cosigned_at(newest.note, witness.named().name, witness.key.public_key()) ==
          1'790'000'000);
    // A registry that has just started does not know what the witness has.
    if (i == 1) site.restart();
    if (i == 2) witness.know(site.tree_site.tree->log());
  }
  const std::vector<unsigned> seen = witness.seen();
  CHECK(std::ranges::count(seen, 200U) >= 4);
  CHECK(std::ranges::count(seen, 409U) <= 2);
  CHECK(std::ranges::count_if(seen, [](unsigned each) { return each != 200 && each != 409; }) == 0);
}

TEST_CASE("a witness that is away is asked again, and holds up no other one") {
  WitnessHost away(1), there(2);
  away.is_down = true;
  Site site({away.address(), there.address()});
  there.know(site.tree_site.tree->log());
  away.know(site.tree_site.tree->log());
  site.tree_site.seal();
  REQUIRE(site.becomes_witnessed());
  REQUIRE(wait_until([&] { return away.calls > 2; }));
  CHECK(site.tree_site.tree->log().newest().cosignatures == 1);
  away.is_down = false;
  CHECK(wait_until([&] { return site.tree_site.tree->log().newest().cosignatures == 2; }));
}

TEST_CASE("an answer by another key is no cosignature") {
  WitnessHost witness(1);
  WitnessAddress wrong = witness.address();
  wrong.key.key = PrivateKey::from_seed({99}).public_key();
  Site site({wrong});
  witness.know(site.tree_site.tree->log());
  site.tree_site.seal();
  REQUIRE(wait_until([&] { return witness.calls > 2; }));
  CHECK(site.tree_site.tree->log().newest().cosignatures == 0);
  CHECK(site.tree_site.tree->log().unwitnessed_since_ms() != 0);
}

TEST_CASE("a registry that was put back from a backup is cosigned no more") {
  WitnessHost witness(1);
  Site site({witness.address()});
  witness.know(site.tree_site.tree->log());
  site.tree_site.seal();
  REQUIRE(site.becomes_witnessed());
  site.tree_site.stop();
  std::filesystem::copy(site.folder.path() / "audit", site.folder.path() / "backup");
  site.restart();
  site.tree_site.seal();
  REQUIRE(site.becomes_witnessed());
  site.tree_site.stop();
  std::filesystem::remove_all(site.folder.path() / "audit");
  std::filesystem::rename(site.folder.path() / "backup", site.folder.path() / "audit");
  site.restart();
  record::TreeEntry other;
  other.kind = record::TreeEntryKind::kRead;
  other.time_ms = 99;
  other.by = "eve";
  REQUIRE(site.tree_site.tree->writer().append_now(other));
  site.tree_site.seal();
  const int before = witness.calls;
  REQUIRE(wait_until([&] { return witness.calls > before + 2; }));
  CHECK(site.tree_site.tree->log().newest().cosignatures == 0);
}

TEST_CASE("cosignatures are found among the lines of an answer") {
  const PrivateKey tree = PrivateKey::from_seed({1}), key = PrivateKey::from_seed({2}),
                   old = PrivateKey::from_seed({3});
  const std::string note = record::sign_checkpoint({"core/a", 3, sha256("")}, tree);
  const record::NamedKey named{"w", key.public_key(), true};
  const auto line_of = [&](std::string name, const PrivateKey& by) {
    const std::string signed_note = *record::add_cosignature(
        note, {std::move(name), 7, *record::cosign(note, 7, by)}, by.public_key());
    return signed_note.substr(note.size());
  };
  const auto found = cosignature_in(
      line_of("v", key) + "no line\n— w AAAA\n— w !\n" + line_of("w", old) + line_of("w", key),
      named, note);
  REQUIRE_MESSAGE(found, found.error().message);
  CHECK(found->time_s == 7);
  CHECK(record::verify_cosignature(note, 7, found->signature, key.public_key()));
  for (const std::string& lines :
       {std::string(), std::string("\n\n"), line_of("v", key), line_of("w", old)})
    CHECK(cosignature_in(lines, named, note).error().code == ErrorCode::kMessage);
  CHECK(record::add_checkpoint_body({3, {sha256("x")}, note}) ==
        "old 3\n" + to_base64(sha256("x").view()) + "\n\n" + note);
}

}  // namespace
}  // namespace notp::audit
