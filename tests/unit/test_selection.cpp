// Which releases a node combines.
#include <doctest/doctest.h>

#include <deque>

#include "notp-client/agent/core/selection.hpp"

using namespace notp;

namespace {

model::LedgerId ledger(const std::string& name) { return {100'000'000'000, name}; }

// A node's ledgers in the order of its configuration.
class Node {
 public:
  // `versions` best first.
  Node& add(const std::string& name) {
    ledgers_.push_back({ledger(name), {}});
    return *this;
  }
  Node& has(uint64_t version, std::vector<std::string> roots,
            std::vector<model::LedgerUse> uses = {}) {
    roots_.push_back(std::move(roots));
    uses_.push_back(std::move(uses));
    ledgers_.back().candidates.push_back({version, &roots_.back(), &uses_.back()});
    return *this;
  }
  // That release fails beside that version of another ledger.
  Node& breaks(const std::string& name, uint64_t version, const std::string& beside,
               uint64_t other) {
    faults_.push_back({ledger(name), version, ledger(beside), other});
    return *this;
  }
  agent::Selection select() const {
    return agent::select_releases(ledgers_,
                                  [this](const model::LedgerId& id, uint64_t version,
                                         const agent::Picks& beside) -> std::optional<Error> {
                                    for (const Fault& fault : faults_) {
                                      const auto other = beside.find(fault.beside);
                                      if (fault.ledger == id && fault.version == version &&
                                          other != beside.end() &&
                                          other->second.version == fault.other)
                                        return Error{ErrorCode::kPdpRejected, "it breaks", {}};
                                    }
                                    return std::nullopt;
                                  });
  }

 private:
  struct Fault {
    model::LedgerId ledger;
    uint64_t version;
    model::LedgerId beside;
    uint64_t other;
  };
  std::vector<agent::LedgerCandidates> ledgers_;
  std::deque<std::vector<std::string>> roots_;
  std::deque<std::vector<model::LedgerUse>> uses_;
  std::vector<Fault> faults_;
};

agent::Pick pick(const agent::Selection& selection, const std::string& name) {
  const auto found = selection.picks.find(ledger(name));
  return found == selection.picks.end() ? agent::Pick{} : found->second;
}

ErrorCode refusal(const agent::Selection& selection, const std::string& name) {
  const auto found = selection.refused.find(ledger(name));
  return found == selection.refused.end() ? ErrorCode{} : found->second.error.code;
}

}  // namespace

TEST_CASE("of two ledgers whose roots overlap the earlier one owns them") {
  Node node;
  node.add("b").has(1, {"shop"});
  // Alone, the only ledger gets it.
  CHECK(pick(node.select(), "b") == agent::Pick{1, false});
  Node both;
  both.add("a").has(4, {"shop/eu", "x"}).add("b").has(1, {"shop"}).add("c").has(9, {"other"});
  const agent::Selection selected = both.select();
  CHECK(pick(selected, "a") == agent::Pick{4, false});
  CHECK(pick(selected, "b") == agent::Pick{});
  CHECK(pick(selected, "c") == agent::Pick{9, false});
  CHECK(refusal(selected, "b") == ErrorCode::kRootsOverlap);
  const std::string why = selected.refused.at(ledger("b")).error.message;
  CHECK(why.contains("100000000000/a v4"));
  CHECK(why.contains("100000000000/b v1"));
}

TEST_CASE("a release without a place gives way to an older one that has one") {
  Node node;
  node.add("a").has(1, {"shop"}).add("b").has(2, {"desk", "shop"}).has(1, {"desk"});
  const agent::Selection selected = node.select();
  CHECK(pick(selected, "b") == agent::Pick{1, false});
  CHECK(refusal(selected, "b") == ErrorCode::kRootsOverlap);
}

TEST_CASE("what is used must be there, and new enough") {
  const std::vector<model::LedgerUse> uses{{ledger("lib"), 3}};
  Node alone;
  alone.add("shop").has(1, {"shop"}, uses);
  CHECK(pick(alone.select(), "shop") == agent::Pick{1, true});
  CHECK(alone.select().refused.at(ledger("shop")).error.message.contains("100000000000/lib"));
  Node old;
  old.add("shop").has(2, {"shop"}, uses).has(1, {"shop"}).add("lib").has(2, {"lib"});
  CHECK(pick(old.select(), "shop") == agent::Pick{1, false});
  CHECK(refusal(old.select(), "shop") == ErrorCode::kPdpRejected);
  Node good;
  good.add("shop").has(2, {"shop"}, uses).add("lib").has(3, {"lib"});
  CHECK(pick(good.select(), "shop") == agent::Pick{2, false});
  CHECK(good.select().refused.empty());
}

TEST_CASE("a library never waits for its users") {
  const std::vector<model::LedgerUse> uses{{ledger("lib"), 1}};
  Node node;
  node.add("shop")
      .has(5, {"shop"}, uses)
      .add("desk")
      .has(7, {"desk"}, uses)
      .has(6, {"desk"}, uses)
      .add("lib")
      .has(2, {"lib"})
      .has(1, {"lib"})
      .breaks("shop", 5, "lib", 2)
      .breaks("desk", 7, "lib", 2);
  const agent::Selection selected = node.select();
  CHECK(pick(selected, "lib") == agent::Pick{2, false});
  CHECK(pick(selected, "shop") == agent::Pick{5, true});
  CHECK(pick(selected, "desk") == agent::Pick{6, false});
  CHECK(refusal(selected, "lib") == ErrorCode{});
  CHECK(refusal(selected, "shop") == ErrorCode::kPdpRejected);
}

TEST_CASE("who uses a withheld ledger goes on, and so do circles") {
  Node node;
  node.add("c")
      .has(1, {"c"}, {{ledger("b"), 1}})
      .add("b")
      .has(1, {"b"}, {{ledger("a"), 1}})
      .add("a")
      .has(2, {"a"})
      .breaks("b", 1, "a", 2);
  CHECK(pick(node.select(), "b") == agent::Pick{1, true});
  CHECK(pick(node.select(), "c") == agent::Pick{1, false});
  Node circle;
  circle.add("a").has(1, {"a"}, {{ledger("b"), 1}}).add("b").has(1, {"b"}, {{ledger("a"), 1}});
  CHECK(circle.select().refused.empty());
}

TEST_CASE("a withheld release keeps its roots, and its library must own other ones") {
  Node node;
  node.add("shop")
      .has(1, {"shop"}, {{ledger("lib"), 1}})
      .add("lib")
      .has(1, {"shop/lib"})
      .add("other")
      .has(1, {"shop"});
  const agent::Selection selected = node.select();
  CHECK(pick(selected, "shop") == agent::Pick{1, true});
  CHECK(pick(selected, "lib") == agent::Pick{});
  CHECK(pick(selected, "other") == agent::Pick{});
}
