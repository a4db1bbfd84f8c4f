// What a node makes of receipts of its registry's tree: every refusal by its words, and what is
// known after a crash.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>

#include "notp-client/spool/receipt_book.hpp"
#include "tests/support/registry_tree.hpp"

namespace notp::spool {
namespace {

constexpr record::LogId kLog{{1, 2, 3}};
constexpr TimeMs kWallMs = 1'790'000'000'000;

Hash root_at(uint64_t size) { return sha256("root at " + std::to_string(size)); }

// A node's disk, which may take nothing.
class Disk final : public ReceiptStore {
 public:
  Result<std::optional<OwnCheckpoint>> checkpoint_at(record::Position size) override {
    const auto at = roots.find(size);
    if (at == roots.end()) return std::nullopt;
    return OwnCheckpoint{at->second, !dropped.contains(size)};
  }
  Result<void> keep(const TreeState& state) override {
    if (is_full) return fail(ErrorCode::kIo, "the disk is full");
    kept = state;
    return {};
  }
  void keep_evidence(const TreeState& of, const TreeRefusal& refused) override {
    evidence.emplace_back(of.checkpoint, refused.note);
  }
  Result<Bytes> cosign(std::string_view note, int64_t time_s) override {
    CHECK(kept.checkpoint == note);  // durable before anybody hears of it
    ++cosigned;
    return record::cosign(note, time_s, key);
  }

  PrivateKey key = PrivateKey::from_seed({9});
  std::map<uint64_t, Hash> roots;
  std::set<uint64_t> dropped;  // segments that end there have no body
  TreeState kept;
  std::vector<std::pair<std::string, std::string>> evidence;
  bool is_full = false;
  size_t cosigned = 0;
};

struct Node {
  Disk disk;
  ReceiptBook book;
  ReceiptPeer peer = registry_peer();

  Node() {
    for (uint64_t size = 10; size <= 100; size += 10) disk.roots[size] = root_at(size);
  }
  Result<wire::LogWitness> take(const wire::LogReceipt& receipt) {
    return witness(book, disk, receipt, peer, kWallMs);
  }
  // The words of the refusal; empty: the receipt is good.
  std::string refusal(const wire::LogReceipt& receipt) {
    const auto answer = take(receipt);
    REQUIRE(answer);
    CHECK(answer->log == receipt.log);
    if (answer->code == 0) {
      CHECK(record::verify_cosignature(receipt.checkpoint, answer->time_s, answer->signature,
                                       disk.key.public_key()));
      return {};
    }
    CHECK(answer->code == static_cast<uint32_t>(ErrorCode::kRegistrySplit));
    CHECK(answer->signature.empty());
    CHECK(answer->kept == book.state().checkpoint);
    return answer->message;
  }
  void restart() { book = ReceiptBook::open(disk.kept).value(); }
};

// A tree in which the node's log has leaves at 3 and 9, of 10 and 20 records, and a node that has
// kept it at 5 leaves.
struct Known {
  RegistryTree tree{1};
  Node node;
  wire::LogReceipt first;

  Known() {
    tree.add_others(3);
    tree.add(kLog, 10, root_at(10));
    tree.add_others(1);
    first = tree.receipt(kLog, 10, 3, 0);
    REQUIRE(node.refusal(first).empty());
    tree.add_others(4);
    tree.add(kLog, 20, root_at(20));
    tree.add_others(2);
  }
  wire::LogReceipt next() const { return tree.receipt(kLog, 20, 9, 5); }
};

}  // namespace

TEST_CASE("receipts of a tree that grows are kept and cosigned, one after the other") {
  Known known;
  Node& node = known.node;
  CHECK(node.book.offered_tree() == known.tree.id());
  CHECK(node.book.tree_size() == 5);
  CHECK(node.book.witnessed(kLog) == 10);
  CHECK(node.book.witnessed({}) == 0);
  CHECK(node.refusal(known.next()).empty());
  CHECK(node.book.tree_size() == 12);
  CHECK(node.book.witnessed(kLog) == 20);
  CHECK(node.book.state().index == 9);
  CHECK(node.book.state().time_ms == kWallMs);
  CHECK(node.disk.cosigned == 2);
  CHECK(node.disk.evidence.empty());
  // The same again, and one of an older leaf, prove nothing less.
  CHECK(node.refusal(known.tree.receipt(kLog, 20, 9, 12)).empty());
  CHECK(node.refusal(known.tree.receipt(kLog, 10, 3, 12)).empty());
  CHECK(node.book.witnessed(kLog) == 20);
  node.restart();
  CHECK(node.book.offered_tree() == known.tree.id());
  CHECK(node.book.tree_size() == 12);
  CHECK(node.book.witnessed(kLog) == 20);
}

TEST_CASE("a registry cannot say that the node had dropped what it has sent") {
  Known known;
  known.tree.add(kLog, 30, root_at(30), 7, /*dropped=*/10);
  wire::LogReceipt receipt = known.tree.receipt(kLog, 30, 12, 5);
  receipt.dropped = 10;
  CHECK(known.node.refusal(receipt).contains("had dropped the last 10 records below 30"));
  // What it did drop may be said, and must be.
  Known honest;
  honest.node.disk.dropped = {30};
  honest.tree.add(kLog, 30, root_at(30), 7, /*dropped=*/10);
  CHECK(honest.node.refusal(receipt).empty());
  receipt.dropped = 0;
  Known hidden;
  CHECK(hidden.node.refusal(receipt).contains("is not shown to have this node's checkpoint"));
}

TEST_CASE("a node that knows no tree takes one that is announced by its registry alone") {
  RegistryTree tree(1);
  tree.add(kLog, 10, root_at(10));
  const auto unannounced = [&] {
    auto out = tree.receipt(kLog, 10, 0, 0);
    out.announcement.clear();
    return out;
  };
  CHECK(Node().refusal(unannounced()) ==
        "the registry sent a receipt of a tree that it has not announced");
  Node elsewhere;
  elsewhere.peer.registry = "spiffe://core.internal/registry/other";
  CHECK(elsewhere.refusal(tree.receipt(kLog, 10, 0, 0)) ==
        "the registry of this session is spiffe://core.internal/registry/other, and its tree is "
        "announced by spiffe://core.internal/registry/main");
  Node foreign;
  foreign.peer.trust_domain = "other.internal";
  CHECK(foreign.refusal(tree.receipt(kLog, 10, 0, 0)).contains("its tree is announced by"));
  auto damaged = tree.receipt(kLog, 10, 0, 0);
  damaged.announcement.back() ^= 1;
  CHECK(Node().refusal(damaged).starts_with(
      "the announcement of the registry's tree is not valid: "));
}

TEST_CASE("a tree that shrinks, splits or does not go on is refused") {
  SUBCASE("it shrank") {
    Known known;
    known.tree.shrink(4);
    CHECK(known.node.refusal(known.tree.receipt(kLog, 10, 3, 4)) ==
          fmt::format("the registry's tree {} shrank from 5 entries to 4", known.tree.id().hex()));
  }
  SUBCASE("an old receipt comes again") {
    Known known;
    REQUIRE(known.node.refusal(known.next()).empty());
    CHECK(known.node.refusal(known.first) ==
          fmt::format("the registry's tree {} shrank from 12 entries to 5", known.tree.id().hex()));
  }
  SUBCASE("another one of the same size") {
    Known known;
    known.tree.shrink(4);
    known.tree.add_others(1, "another");
    CHECK(known.node.refusal(known.tree.receipt(kLog, 10, 3, 5)) ==
          fmt::format("the registry shows two trees {} of 5 entries", known.tree.id().hex()));
  }
  SUBCASE("it went back and grew again") {
    Known known;
    known.tree.shrink(4);
    known.tree.add_others(4, "another");
    known.tree.add(kLog, 20, root_at(20));
    CHECK(known.node.refusal(known.tree.receipt(kLog, 20, 8, 5)) ==
          fmt::format("the registry's tree {} of 9 entries is not shown to go on from the one of 5 "
                      "entries that this node keeps",
                      known.tree.id().hex()));
  }
  SUBCASE("no proof at all") {
    Known known;
    auto receipt = known.next();
    receipt.consistency.clear();
    CHECK(known.node.refusal(receipt).contains("is not shown to go on from"));
  }
}

TEST_CASE("another tree, or one of another registry, is refused") {
  Known known;
  RegistryTree other(2);
  other.add_others(20);
  other.add(kLog, 20, root_at(20));
  CHECK(known.node.refusal(other.receipt(kLog, 20, 20, 0)) ==
        fmt::format("the registry has begun another tree, {}: this node keeps a checkpoint of tree "
                    "{} with 5 entries",
                    other.id().hex(), known.tree.id().hex()));
  CHECK(known.node.book.state().refusal->tree == other.id());
  // Under the key of the one that is known.
  auto unannounced = other.receipt(kLog, 20, 20, 5);
  CHECK(known.node.refusal(unannounced)
            .starts_with(fmt::format("the checkpoint of the registry's tree {} is not valid: ",
                                     known.tree.id().hex())));
  Known moved;
  moved.node.peer.registry = "spiffe://core.internal/registry/other";
  CHECK(moved.node.refusal(moved.next()) ==
        "the tree that this node keeps a checkpoint of is that of "
        "spiffe://core.internal/registry/main, and the registry of this session is "
        "spiffe://core.internal/registry/other");
}

TEST_CASE("a checkpoint of another log under the tree's key is refused") {
  Known known;
  auto receipt = known.next();
  receipt.checkpoint = record::sign_checkpoint(
      {"core.internal/decisions/registry/main/other", 12, known.tree.root(12)}, known.tree.key());
  CHECK(known.node.refusal(receipt).ends_with(
      "has signed a checkpoint of core.internal/decisions/registry/main/other"));
}

TEST_CASE("a leaf that is not the node's own checkpoint is refused") {
  const auto words = [](const Known& known) {
    return fmt::format(
        "the registry's tree {} of 12 entries is not shown to have this node's "
        "checkpoint of log {} at 20 records: it was changed there, or this node's spool was "
        "restored from an older copy",
        known.tree.id().hex(), kLog.hex());
  };
  SUBCASE("with another root") {
    Known known;
    known.tree.shrink(9);
    known.tree.add(kLog, 20, root_at(30));
    known.tree.add_others(2);
    CHECK(known.node.refusal(known.next()) == words(known));
  }
  SUBCASE("of another log") {
    Known known;
    known.tree.shrink(9);
    known.tree.add({}, 20, root_at(20));
    known.tree.add_others(2);
    CHECK(known.node.refusal(known.next()) == words(known));
  }
  SUBCASE("at another place") {
    Known known;
    auto receipt = known.next();
    receipt.index = 8;
    CHECK(known.node.refusal(receipt) == words(known));
  }
  SUBCASE("of another time") {
    Known known;
    auto receipt = known.next();
    receipt.time_ms = 8;
    CHECK(known.node.refusal(receipt) == words(known));
  }
  SUBCASE("with a proof that is cut") {
    Known known;
    auto receipt = known.next();
    receipt.inclusion.pop_back();
    CHECK(known.node.refusal(receipt) == words(known));
  }
}

TEST_CASE(
    "a checkpoint of the log that the node does not know any more proves and refutes nothing") {
  Known known;
  known.node.disk.roots.erase(20);
  const auto answer = known.node.take(known.next());
  REQUIRE(answer);
  CHECK(answer->code == static_cast<uint32_t>(ErrorCode::kNotFound));
  CHECK(answer->kept.empty());
  CHECK_FALSE(known.node.book.state().refusal);
  CHECK(known.node.book.tree_size() == 5);
  // A contradiction is one all the same.
  known.tree.shrink(4);
  CHECK(known.node.refusal(known.tree.receipt(kLog, 20, 3, 4)).contains("shrank"));
}

TEST_CASE("a refusal lasts, with both checkpoints, and what is not witnessed is evidence") {
  Known known;
  Node& node = known.node;
  CHECK(node.book.free_below(kLog, 30) == 30);
  const std::string kept = node.book.state().checkpoint;
  RegistryTree lie(1);
  lie.add_others(8, "lie");
  lie.add(kLog, 20, root_at(20));
  const auto receipt = lie.receipt(kLog, 20, 8, 5);
  const std::string words = node.refusal(receipt);
  CHECK(words.contains("is not shown to go on"));
  REQUIRE(node.book.state().refusal);
  CHECK(node.book.state().refusal->message == words);
  CHECK(node.book.state().refusal->note == receipt.checkpoint);
  CHECK(node.disk.evidence ==
        std::vector<std::pair<std::string, std::string>>{{kept, receipt.checkpoint}});
  CHECK(node.book.free_below(kLog, 30) == 10);
  CHECK(node.book.free_below({}, 30) == 0);
  node.restart();
  REQUIRE(node.book.state().refusal);
  // The tree that is kept goes on to be witnessed; the first refusal stays.
  CHECK(node.refusal(known.next()).empty());
  CHECK(node.book.free_below(kLog, 30) == 20);
  CHECK(node.book.state().refusal->message == words);
  CHECK(node.refusal(known.first).contains("shrank"));
  CHECK(node.book.state().refusal->message == words);
}

TEST_CASE(
    "nothing is said that is not kept: a disk that takes nothing, a crash, the same receipt") {
  Known known;
  Node& node = known.node;
  node.disk.is_full = true;
  CHECK(node.take(known.next()).error().code == ErrorCode::kIo);
  CHECK(node.disk.cosigned == 1);
  CHECK(node.book.tree_size() == 5);
  node.disk.is_full = false;
  CHECK(node.refusal(known.next()).empty());
  // A crash between the two: the checkpoint is kept, and the registry has heard nothing. It proves
  // from what the Hello says.
  node.restart();
  CHECK(node.book.tree_size() == 12);
  CHECK(node.refusal(known.tree.receipt(kLog, 20, 9, 12)).empty());
}

TEST_CASE("a refusal that the disk does not take is kept with the next one") {
  Known known;
  Node& node = known.node;
  node.disk.is_full = true;
  known.tree.shrink(4);
  const auto receipt = known.tree.receipt(kLog, 10, 3, 4);
  CHECK(node.take(receipt).error().code == ErrorCode::kIo);
  CHECK(node.book.state().refusal);
  CHECK_FALSE(node.disk.kept.refusal);
  node.disk.is_full = false;
  CHECK(node.refusal(receipt).contains("shrank"));
  CHECK(node.disk.kept.refusal);
}

TEST_CASE("a tree that a person accepts begins at its next checkpoint") {
  Known known;
  Node& node = known.node;
  RegistryTree other(2), third(3);
  for (RegistryTree* tree : {&other, &third}) tree->add(kLog, 10, root_at(10));
  REQUIRE_FALSE(node.refusal(other.receipt(kLog, 10, 0, 0)).empty());
  TreeState accepted = node.disk.kept;
  accepted.refusal.reset();
  accepted.accepted = other.id();
  node.disk.kept = accepted;
  node.restart();
  CHECK_FALSE(node.book.offered_tree());
  CHECK(node.book.tree_size() == 0);
  CHECK(node.refusal(third.receipt(kLog, 10, 0, 0)) ==
        fmt::format("the registry shows tree {}, and tree {} was accepted", third.id().hex(),
                    other.id().hex()));
  CHECK(node.refusal(other.receipt(kLog, 10, 0, 0)).empty());
  CHECK(node.book.offered_tree() == other.id());
  CHECK(node.book.witnessed(kLog) == 10);
  CHECK_FALSE(node.book.state().accepted);
}

TEST_CASE("the witness of one log becomes that of the next, and the tree stays") {
  Known known;
  constexpr record::LogId kNext{{7}};
  known.tree.add(kNext, 10, root_at(10));
  CHECK(known.node.refusal(known.tree.receipt(kNext, 10, 12, 5)).empty());
  CHECK(known.node.book.witnessed(kNext) == 10);
  CHECK(known.node.book.witnessed(kLog) == 0);
  CHECK(known.node.book.tree_size() == 13);
}

TEST_CASE("what was not kept by a book is damage") {
  Known known;
  TreeState state = known.node.disk.kept;
  state.checkpoint.back() = 'x';
  CHECK(ReceiptBook::open(state).error().code == ErrorCode::kCorrupt);
  state = known.node.disk.kept;
  state.announcement.back() ^= 1;
  CHECK(ReceiptBook::open(state).error().code == ErrorCode::kCorrupt);
}

}  // namespace notp::spool
