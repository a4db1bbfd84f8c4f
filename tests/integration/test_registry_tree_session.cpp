// A node's log on its way through a real server into the registry's tree, and the receipts on their
// way back: over TLS, sealed by the real writer, verified and cosigned by the node.
#include <doctest/doctest.h>

#include <mutex>

#include "notp-server/fleet/fleet.hpp"
#include "notp-server/service/log_intake.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/announcement_signer.hpp"
#include "tests/support/registry/bare_server.hpp"
#include "tests/support/registry/tree_site.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/pumped_session.hpp"

namespace notp {
namespace {

using samples::NodeLog;

// A node that ships segments, one after each receipt, and says Bye after the last receipt.
struct Node {
  NodeLog log{"edge-1", 1};
  std::string kept;  // the checkpoint of the tree; empty: none
  Bytes announcement;
  uint64_t receipted = 0;
  size_t segments = 0;  // to ship in this session
  bool refuses = false;
  bool expects_receipt = false;  // with the grant: it ships after that

  Loop loop;
  std::optional<transport::Wake> wake;
  std::optional<session::ClientSession> session;

  void ship() {
    if (segments == 0) return session->say_bye("done");
    --segments;
    session->send_segment(log.next(20));
  }
  void on_event(session::client_event::LogGranted& event) {
    REQUIRE_MESSAGE(event.grant.code == 0, event.grant.message);
    if (event.grant.announce) session->announce_log(log.announcement());
    const bool is_first = event.grant.announce || !std::exchange(has_begun, true);
    has_begun = true;
    if (is_first && !expects_receipt) ship();
  }
  void on_event(session::client_event::ReceiptArrived& event) {
    const wire::LogReceipt& receipt = event.receipt;
    wire::LogWitness witness{.log = log.id};
    if (refuses) {
      witness.code = static_cast<uint32_t>(ErrorCode::kRegistrySplit);
      witness.message = "another tree";
      witness.kept = kept;
    } else {
      verify(receipt);
      witness.tree_size = record::parse_checkpoint(receipt.checkpoint)->size;
      witness.time_s = 9;
      witness.signature = *record::cosign(receipt.checkpoint, 9, log.key);
    }
    session->witness(witness);
    ship();
  }
  void on_event(auto&) {}

  void verify(const wire::LogReceipt& receipt) {
    if (!receipt.announcement.empty()) announcement = receipt.announcement;
    const auto tree = record::verify_announcement(announcement);
    REQUIRE(tree);
    CHECK(tree->node == test_uri("registry", "main"));
    const auto checkpoint = record::verify_checkpoint(receipt.checkpoint, tree->log_key);
    REQUIRE(checkpoint);
    CHECK(receipt.size == log.tree.size());
    record::TreeEntry leaf;
    leaf.time_ms = receipt.time_ms;
    leaf.log = log.id;
    leaf.size = receipt.size;
    leaf.root = log.tree.root();
    leaf.count = receipt.dropped;
    CHECK(record::verify_inclusion(record::tree_leaf(record::encode(leaf)), receipt.index,
                                   checkpoint->size, receipt.inclusion, checkpoint->root));
    if (!kept.empty()) {
      const auto before = record::parse_checkpoint(kept);
      CHECK(record::verify_consistency(before->size, before->root, checkpoint->size,
                                       checkpoint->root, receipt.consistency));
    }
    kept = receipt.checkpoint;
    receipted = receipt.size;
  }

  asio::awaitable<void> talk(const bare::Server& server, ContextPtr tls) {
    auto connection = must(co_await transport::connect(server.address, tls, kPatienceMs));
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    hello.log = {.log = log.id, .size = log.tree.size(), .root = log.tree.root()};
    if (!kept.empty()) {
      hello.log->tree = record::LogId::of(record::verify_announcement(announcement)->log_key);
      hello.log->tree_size = record::parse_checkpoint(kept)->size;
    }
    has_begun = false;
    session.emplace(hello, std::vector<session::PartialArtifact>{}, read_clock());
    wake.emplace();
    co_await pump_events(*connection, *session, *wake, [this](auto& e) { on_event(e); });
  }
  void talk_to(bare::Server& server, size_t count) {
    segments = count;
    loop.spawn(talk(server, context(server.pki.node("edge-1"), transport::Side::kClient)));
    loop.run();
  }
  bool has_begun = false;
};

// All that takes in logs, with a tree that is sealed at once.
struct Registry {
  TemporaryFolder folder;
  std::unique_ptr<audit::DayFiles> store = must(audit::DayFiles::open(folder.path() / "audit", {}));
  std::unique_ptr<fleet::Fleet> fleet = must(fleet::Fleet::open(folder.path() / "fleet.db", {}));
  TestPki pki;
  std::unique_ptr<audit::RegistryTree> tree = open_tree();
  audit::LogWriter writer{*store, {.tree = &tree->writer()}};
  service::RegistryLogIntake intake{writer, *fleet, read_clock, tree.get()};

  Registry() {
    tree->start();
    REQUIRE(writer.start());
  }
  ~Registry() { intake.stop(); }
  std::unique_ptr<audit::RegistryTree> open_tree() {
    const auto tls = must(transport::TlsSource::open(pki.registry(), transport::Side::kServer));
    return must(audit::RegistryTree::open(
        folder.path() / "audit", *store,
        {.trust_domain = std::string(kTestDomain),
         .registry = must(tls->current()->identity()).text(),
         .signer = [current = tls->current()] { return transport::announcement_signer(current); }},
        {.seal_ms = 5}));
  }
  size_t faults() const {
    size_t out = 0;
    const uint64_t size = tree->log().size();
    for (uint64_t index = 0; index < size; ++index)
      out +=
          record::decode_tree_entry(must(tree->log().entries(index, index + 1, 1)).front())->kind ==
          record::TreeEntryKind::kFault;
    return out;
  }
};

TEST_CASE("a node's segments come back as receipts, which it cosigns, over two sessions") {
  Registry registry;
  Node node;
  {
    bare::Server server(&registry.intake);
    node.talk_to(server, 4);
    CHECK(node.receipted == 80);
    node.talk_to(server, 3);
    CHECK(node.receipted == 140);
    registry.intake.stop();
  }
  CHECK(registry.tree->receipt_counters().receipts == 7);
  CHECK(registry.tree->receipt_counters().refusals == 0);
  // The answer to the last receipt may have come after the Bye was sent.
  CHECK(registry.tree->receipt_counters().cosignatures >= 5);
  const auto best = registry.tree->log().best_for(0);
  REQUIRE(best);
  CHECK(record::cosigned_at(best->note, record::log_origin(node.log.node, node.log.id),
                            node.log.log_key) == 9);
}

TEST_CASE(
    "a node that refuses is counted, its log is taken, and it is asked again when it returns") {
  Registry registry;
  Node node;
  node.refuses = true;
  {
    bare::Server server(&registry.intake);
    node.talk_to(server, 3);
    node.refuses = false;
    node.expects_receipt = true;
    node.talk_to(server, 1);
    registry.intake.stop();
  }
  CHECK(registry.tree->receipt_counters().refusals >= 2);
  CHECK(registry.faults() == 1);
  CHECK(node.receipted == 80);
}

}  // namespace
}  // namespace notp
