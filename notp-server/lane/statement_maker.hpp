// Reads a lane's store and makes the statements that its readers get.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/signature.hpp"
#include "notp-server/lane/event_store.hpp"
#include "notp-server/lane/grants.hpp"
#include "protocol/feed/lane_statement.hpp"
#include "protocol/model/tree.hpp"

namespace notp::lane {

// A whole LaneStatement frame, which sessions share.
struct Statement {
  model::Content frame;
  uint64_t from = 0, to = 0;           // of a batch
  std::optional<feed::EventKey> last;  // of a snapshot: the rest begins after it; nullopt: no rest
};

struct LaneName {
  std::string trust_domain, lane;
  feed::LaneTerms terms;
};

// One thread, that of the store. Errors are the store's.
class StatementMaker {
 public:
  // All outlive it.
  StatementMaker(LaneName name, EventStore& store, const PrivateKey& key)
      : name_(std::move(name)), store_(store), key_(key) {}

  const LaneName& name() const { return name_; }

  // `rows` are all that is new in (from, to], ascending by revision. Empty: the view sees none of
  // them.
  std::vector<Statement> batches(const GrantView& view, std::span<const Row> rows, uint64_t from,
                                 uint64_t to, Now now) const;
  Statement heartbeat(const GrantView& view, uint64_t from, uint64_t to, Now now) const;
  // What the store has above `from`, as much as one batch takes. kConflict: it is compacted.
  Result<Statement> tail(const GrantView& view, uint64_t from, Now now) const;
  Result<Statement> snapshot(const GrantView& view, uint64_t as_of,
                             const std::optional<feed::EventKey>& after, Now now) const;
  Result<Statement> answer(const GrantView& view, const feed::TokenId& id, Now now) const;

 private:
  feed::LaneHeader header(const GrantView& view, Now now) const;
  Statement seal(feed::StatementType type, Bytes body) const;

  const LaneName name_;
  EventStore& store_;
  const PrivateKey& key_;
};

}  // namespace notp::lane
