// Receipts: what nodes get of the registry's tree, and what becomes of their answers.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <deque>

#include "notp-server/audit_tree/receipts.hpp"
#include "tests/support/registry/memory_tree_store.hpp"

namespace notp::audit {
namespace {

const std::string kRegistry = "spiffe://core.internal/registry/main";

PrivateKey tree_key() { return PrivateKey::from_seed({9, 9}); }
record::LogId tree_id() { return record::LogId::of(tree_key().public_key()); }

struct Site {
  MemoryTreeStore store;
  std::unique_ptr<TreeLog> tree;
  std::vector<record::TreeEntry> faults;
  bool has_room = true;
  ReceiptCounters counters;
  std::optional<Receipts> receipts;

  Site() { start(); }
  void start() {
    receipts.reset();
    auto opened = TreeLog::open(store, record::log_origin(kRegistry, tree_id()), tree_key());
    REQUIRE_MESSAGE(opened, opened.error().message);
    tree = *std::move(opened);
    receipts.emplace(
        *tree, "the announcement",
        [this](const record::TreeEntry& entry) {
          if (has_room) faults.push_back(entry);
          return has_room;
        },
        counters);
  }
  void seal(const std::vector<record::TreeEntry>& entries) {
    REQUIRE(tree->append(entries, 1'000));
    receipts->sealed();
  }
};

// A node that verifies what it gets, and keeps what it has verified.
struct Node {
  explicit Node(uint8_t number)
      : name(fmt::format("spiffe://core.internal/node/n-{}", number)),
        key(PrivateKey::from_seed({number, 5})),
        log(record::LogId::of(key.public_key())) {}

  std::string name;
  PrivateKey key;
  record::LogId log;
  uint64_t size = 0;  // of its log
  std::string kept;   // checkpoint of the tree; empty: none
  uint64_t receipted = 0;
  bool is_open = true;
  std::deque<wire::LogReceipt> received;

  record::TreeEntry grow(uint64_t records) {
    size += records;
    record::TreeEntry out;
    out.kind = record::TreeEntryKind::kCheckpoint;
    out.time_ms = 500 + static_cast<TimeMs>(size);
    out.log = log;
    out.size = size;
    out.root = root();
    return out;
  }
  Hash root() const { return sha256(fmt::format("{} at {}", name, size)); }

  void connect(Site& site) {
    wire::LogOffer offer{.log = log, .size = size, .root = root()};
    if (!kept.empty()) {
      offer.tree = tree_id();
      offer.tree_size = record::parse_checkpoint(kept)->size;
    }
    received.clear();
    site.receipts->granted(
        name, offer,
        [this](const wire::LogReceipt& receipt) {
          if (is_open) received.push_back(receipt);
          return is_open;
        },
        2'000);
  }
  // What a node checks; the announcement comes exactly when it knows no tree.
  void verify(const wire::LogReceipt& receipt) {
    CHECK(receipt.announcement == (kept.empty() ? "the announcement" : ""));
    const auto checkpoint = record::verify_checkpoint(receipt.checkpoint, tree_key().public_key());
    REQUIRE(checkpoint);
    record::TreeEntry leaf;
    leaf.kind = record::TreeEntryKind::kCheckpoint;
    leaf.time_ms = receipt.time_ms;
    leaf.log = log;
    leaf.size = receipt.size;
    leaf.root = sha256(fmt::format("{} at {}", name, receipt.size));
    CHECK(record::verify_inclusion(record::tree_leaf(record::encode(leaf)), receipt.index,
                                   checkpoint->size, receipt.inclusion, checkpoint->root));
    if (!kept.empty()) {
      const auto before = record::parse_checkpoint(kept);
      CHECK(record::verify_consistency(before->size, before->root, checkpoint->size,
                                       checkpoint->root, receipt.consistency));
    } else {
      CHECK(receipt.consistency.empty());
    }
    kept = receipt.checkpoint;
    receipted = receipt.size;
  }
  // Takes the one receipt that has come, and answers.
  void take(Site& site) {
    REQUIRE(received.size() == 1);
    const wire::LogReceipt receipt = std::move(received.front());
    received.pop_front();
    verify(receipt);
    wire::LogWitness witness{.log = log};
    witness.tree_size = record::parse_checkpoint(receipt.checkpoint)->size;
    witness.time_s = 77;
    witness.signature = *record::cosign(receipt.checkpoint, witness.time_s, key);
    site.receipts->witnessed(name, witness, key.public_key(), 3'000);
  }
  wire::LogWitness refusal(ErrorCode code = ErrorCode::kRegistrySplit) const {
    wire::LogWitness out{.log = log};
    out.code = static_cast<uint32_t>(code);
    out.message = "no";
    out.kept = kept;
    return out;
  }
};

TEST_CASE(
    "each node gets one receipt for its newest leaf, verifies it, and its cosignature is kept") {
  Site site;
  std::deque<Node> nodes;
  for (uint8_t i = 0; i < 40; ++i) nodes.emplace_back(i).connect(site);
  for (int round = 0; round < 8; ++round) {
    std::vector<record::TreeEntry> entries;
    for (Node& node : nodes)
      for (int i = 0; i < 3; ++i) entries.push_back(node.grow(10));
    site.seal(entries);
    for (Node& node : nodes) {
      node.take(site);
      CHECK(node.receipted == node.size);
    }
    CHECK(site.tree->newest().cosignatures == limits::kCosignaturesMax);
  }
  CHECK(site.counters.receipts == 40 * 8);
  CHECK(site.counters.cosignatures == 40 * 8);
  CHECK(record::cosigned_at(site.tree->newest().note,
                            record::log_origin(nodes[0].name, nodes[0].log),
                            nodes[0].key.public_key()) == 77);
  CHECK(site.faults.empty());
}

TEST_CASE("a node without a new leaf gets nothing") {
  Site site;
  Node busy(1), quiet(2);
  busy.connect(site);
  quiet.connect(site);
  site.seal({busy.grow(5)});
  CHECK(quiet.received.empty());
  busy.take(site);
  site.seal({quiet.grow(5)});
  CHECK(busy.received.empty());
  quiet.take(site);
}

TEST_CASE("the next receipt follows the answer, for the newest leaf by then") {
  Site site;
  Node node(1);
  node.connect(site);
  site.seal({node.grow(5)});
  site.seal({node.grow(5)});
  site.seal({node.grow(5)});
  REQUIRE(node.received.size() == 1);
  node.take(site);
  CHECK(node.receipted == 5);
  node.take(site);
  CHECK(node.receipted == 15);
  CHECK(node.received.empty());
}

TEST_CASE("a node that comes back gets at once what it lacks, and nothing that it has") {
  Site site;
  Node node(1);
  node.connect(site);
  site.seal({node.grow(5)});
  node.take(site);
  node.connect(site);
  CHECK(node.received.empty());
  site.seal({node.grow(5)});
  REQUIRE(node.received.size() == 1);
  // The session ends before the node has read it; the registry restarts.
  site.start();
  node.connect(site);
  node.take(site);
  CHECK(node.receipted == 10);
}

TEST_CASE(
    "a checkpoint without a node's leaf is shown to as many nodes as can cosign it, in turn") {
  Site site;
  std::deque<Node> nodes;
  std::vector<record::TreeEntry> entries;
  for (uint8_t i = 0; i < 40; ++i) {
    nodes.emplace_back(i).connect(site);
    entries.push_back(nodes.back().grow(10));
  }
  site.seal(entries);
  for (Node& node : nodes) node.take(site);
  std::map<std::string, int> asked;
  record::TreeEntry read;
  read.kind = record::TreeEntryKind::kRead;
  read.time_ms = 5;
  for (int round = 0; round < 5; ++round) {
    site.seal({read});
    size_t receipts = 0;
    for (Node& node : nodes) {
      if (node.received.empty()) continue;
      ++receipts;
      ++asked[node.name];
      node.take(site);
      CHECK(node.receipted == node.size);
    }
    CHECK(receipts == limits::kCosignaturesMax);
    CHECK(site.tree->newest().cosignatures == limits::kCosignaturesMax);
  }
  CHECK(asked.size() == 40);
  for (const auto& [name, count] : asked) CHECK(count == 2);
}

TEST_CASE("receipts of ten thousand nodes cost little") {
  constexpr size_t kNodes = 10'000;
  Site site;
  std::vector<wire::LogReceipt> received(kNodes);
  std::vector<record::LogId> logs;
  for (size_t i = 0; i < kNodes; ++i) {
    logs.push_back(record::LogId{{static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i), 1}});
    site.receipts->granted(
        fmt::format("node {}", i), {.log = logs[i]},
        [&received, i](const wire::LogReceipt& receipt) {
          received[i] = receipt;
          return true;
        },
        1);
  }
  std::chrono::nanoseconds spent{};
  constexpr int kRounds = 4;
  for (int round = 1; round <= kRounds; ++round) {
    std::vector<record::TreeEntry> entries(kNodes);
    for (size_t i = 0; i < kNodes; ++i) {
      entries[i].log = logs[i];
      entries[i].size = static_cast<uint64_t>(round);
      entries[i].root = sha256(fmt::format("{} {}", i, round));
    }
    REQUIRE(site.tree->append(entries, 1));
    const auto before = std::chrono::steady_clock::now();
    site.receipts->sealed();
    for (size_t i = 0; i < kNodes; ++i) {
      wire::LogWitness witness{.log = logs[i]};
      witness.tree_size = site.tree->size();
      site.receipts->witnessed(fmt::format("node {}", i), witness, std::nullopt, 1);
    }
    spent += std::chrono::steady_clock::now() - before;
    const auto checkpoint = record::parse_checkpoint(site.tree->newest().note);
    for (size_t i = 0; i < kNodes; i += 97) {
      CHECK(received[i].size == static_cast<uint64_t>(round));
      CHECK(record::verify_inclusion(record::tree_leaf(record::encode(entries[i])),
                                     received[i].index, checkpoint->size, received[i].inclusion,
                                     checkpoint->root));
    }
  }
  const auto each_us = std::chrono::duration<double, std::micro>(spent).count() / kNodes / kRounds;
  MESSAGE("microseconds a receipt with its answer: " << each_us);
  // Of ten seconds between two seals.
  CHECK(each_us < 500);
}

TEST_CASE("a node whose tree is ahead is a fault, once, and gets no consistency") {
  Site site, old;
  Node node(1);
  node.connect(site);
  const record::TreeEntry first = node.grow(5);
  old.seal({first});
  site.seal({first, Node(2).grow(1), Node(3).grow(1)});
  node.take(site);
  // The registry was put back from a backup.
  for (int round = 0; round < 3; ++round) {
    node.connect(old);
    REQUIRE(node.received.size() == 1);
    CHECK(node.received.front().consistency.empty());
    CHECK(node.received.front().announcement.empty());
    old.receipts->witnessed(node.name, node.refusal(), node.key.public_key(), 1);
  }
  REQUIRE(old.faults.size() == 1);
  CHECK(old.faults[0].kind == record::TreeEntryKind::kFault);
  CHECK(old.faults[0].log == node.log);
  CHECK(old.faults[0].code == static_cast<uint32_t>(ErrorCode::kRegistrySplit));
  CHECK(old.faults[0].first == 3);
  CHECK(old.counters.refusals == 3);
}

TEST_CASE("a refusal is counted each time, and kept once with the note that contradicts") {
  Site site;
  Node node(1);
  node.kept = record::sign_checkpoint({"x", 0, sha256("")}, tree_key());
  node.connect(site);
  site.has_room = false;
  for (int round = 0; round < 3; ++round) {
    site.seal({node.grow(5)});
    REQUIRE(node.received.size() == 1);
    node.received.clear();
    site.receipts->witnessed(node.name, node.refusal(), node.key.public_key(), 1);
    site.has_room = true;
  }
  CHECK(site.counters.refusals == 3);
  REQUIRE(site.faults.size() == 1);
  CHECK(site.faults[0].digest == sha256(node.kept));
  CHECK(site.tree->newest().cosignatures == 0);
}

TEST_CASE("an answer that says something else than a split is no refusal") {
  Site site;
  Node node(1);
  node.connect(site);
  site.seal({node.grow(5)});
  node.received.clear();
  site.receipts->witnessed(node.name, node.refusal(ErrorCode::kNotFound), node.key.public_key(), 1);
  CHECK(site.counters.refusals == 0);
  CHECK(site.faults.empty());
  site.seal({node.grow(5)});
  node.take(site);
}

TEST_CASE("answers count for their own node and receipt alone") {
  Site site;
  Node node(1), other(2);
  node.connect(site);
  other.connect(site);
  site.seal({node.grow(5)});
  const auto answer = [&](uint64_t size) {
    wire::LogWitness out{.log = node.log};
    out.tree_size = size;
    out.time_s = 5;
    out.signature = *record::cosign(site.tree->newest().note, 5, node.key);
    return out;
  };
  site.receipts->witnessed(other.name, answer(1), node.key.public_key(), 1);
  CHECK(site.tree->newest().cosignatures == 0);
  // Another size than was sent: not what was asked.
  site.receipts->witnessed(node.name, answer(2), node.key.public_key(), 1);
  CHECK(site.tree->newest().cosignatures == 0);
  // There is no receipt to answer any more.
  site.receipts->witnessed(node.name, answer(1), node.key.public_key(), 1);
  CHECK(site.tree->newest().cosignatures == 0);
  // A signature of another key.
  node.received.clear();
  site.seal({node.grow(5)});
  REQUIRE(node.received.size() == 1);
  wire::LogWitness forged = answer(2);
  site.receipts->witnessed(node.name, forged, other.key.public_key(), 1);
  CHECK(site.tree->newest().cosignatures == 0);
  CHECK(site.counters.cosignatures == 0);
}

TEST_CASE("a session that is over is forgotten") {
  Site site;
  Node node(1);
  node.connect(site);
  node.is_open = false;
  site.seal({node.grow(5)});
  CHECK(site.receipts->sessions() == 0);
  CHECK(site.counters.receipts == 0);
  node.is_open = true;
  node.connect(site);
  node.take(site);
}

TEST_CASE("a proof that does not hold is not sent") {
  Site site;
  std::deque<Node> nodes;
  std::vector<record::TreeEntry> entries;
  for (uint8_t i = 0; i < 30; ++i) entries.push_back(nodes.emplace_back(i).grow(1));
  site.seal(entries);
  // The disk gives back another hash than was written.
  site.store.image.tiles.at({0, 0}).hashes[7].bytes[3] ^= 1;
  for (Node& node : nodes) {
    node.connect(site);
    CHECK(node.received.empty());
  }
  CHECK(site.counters.receipts == 0);
}

}  // namespace
}  // namespace notp::audit
